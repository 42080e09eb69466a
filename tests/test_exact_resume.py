"""Runs of settings drawn from the whole space that are stopped or killed anywhere end bit for bit
like those that were not.
"""

from contextlib import suppress
from functools import cache

import pytest
from drawn_configs import configs
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from short_runs import differing, flat

from byol_core.config import ConfigError
from byol_core.images.load import load
from byol_core.train import Options, train
from byol_core.train.checkpoint import Checkpoints, load_state

STEPS = 8  # two epochs of 64 images in batches of 16
MANY = {"suppress_health_check": list(HealthCheck), "deadline": None, "database": None}


class KilledError(Exception):
    """Stands for the end of a process."""


@pytest.fixture(autouse=True, scope="module")
def images_are_read_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("byol_core.train.run.load", cache(load))
        yield


def take_up(config, folder, observer, log_every, every_s):
    options = Options(
        device="cpu",
        threads=1,
        log_every=log_every,
        checkpoint_every_s=every_s,
        protocols=(),
    )
    return train(config, folder, options, observer)


def what_stays(folder):
    """The encoders, and all that the last checkpoint holds: optimizer, queue, sums of metrics."""
    encoders, _ = load_state(folder / "encoder")
    last = Checkpoints(folder / "checkpoints", "0001").latest()
    return flat("encoders", encoders) | flat("state", last.state)


@st.composite
def breaks(draw):
    """Where a run is broken off, and whether it may write a checkpoint first; in order."""
    steps = sorted(draw(st.lists(st.integers(0, STEPS - 1), min_size=1, max_size=3)))
    return [(step, draw(st.booleans())) for step in steps]


def check_resume(config, broken_at, log_every, folder, silent):
    """Train once in one go, where each step is logged, once with breaks, and compare."""
    assume(config.trains)
    whole = silent()
    try:
        expected = take_up(config, folder / "whole", whole, 1, 60)
    except ConfigError:
        return  # of what only the images tell

    points = {}
    for step, is_kill in broken_at:
        observer = silent(step)
        if is_kill:
            _kill(config, folder / "parts", observer, log_every)
        else:
            take_up(config, folder / "parts", observer, log_every, 60)
        points.update({at: metrics for at, _, metrics in observer.points})
    last = silent()
    result = take_up(config, folder / "parts", last, log_every, 60)
    points.update({at: metrics for at, _, metrics in last.points})

    of_whole = {at: metrics for at, _, metrics in whole.points}
    if result.outcome == "ok":
        assert points.keys() == set(range(0, STEPS, log_every))
        shared = {at: of_whole[at] for at in points}
        assert not differing(flat("points", points), flat("points", shared))
    assert not differing(flat("final", result.final), flat("final", expected.final))
    assert not differing(flat("initial", result.initial), flat("initial", expected.initial))
    assert (result.outcome, result.step) == (expected.outcome, expected.step)
    if result.outcome == "ok":
        assert not differing(what_stays(folder / "parts"), what_stays(folder / "whole"))


def _kill(config, folder, observer, log_every):
    """Take a run up and kill it where it would stop; a run that diverges before it has ended."""
    stop_reason = observer.stop_reason

    def die():
        if stop_reason() is not None:
            raise KilledError

    observer.stop_reason = die
    with suppress(KilledError):
        take_up(config, folder, observer, log_every, every_s=0)


@settings(max_examples=6, derandomize=True, **MANY)
@given(config=configs(), broken_at=breaks(), log_every=st.integers(1, 3))
def test_a_run_broken_off_anywhere_ends_like_a_whole_one(
    config, broken_at, log_every, tmp_path_factory, silent
):
    check_resume(config, broken_at, log_every, tmp_path_factory.mktemp("run"), silent)


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@settings(max_examples=600, **MANY)
@given(config=configs(), broken_at=breaks(), log_every=st.integers(1, 3))
def test_any_run_broken_off_anywhere_ends_like_a_whole_one(
    config, broken_at, log_every, tmp_path_factory, silent
):
    check_resume(config, broken_at, log_every, tmp_path_factory.mktemp("run"), silent)
