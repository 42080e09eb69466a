"""Nothing in a whole step reads a value from the device, whatever the settings: a GPU would be waited
for, and a step could not be captured.
"""

import pytest
import torch
from host_waits import HostWaitError, NoHostWaits
from reference_steps import all_pairs, with_news
from test_whole_steps import AXES, config_of
from training import Lab

from byol_core.augment import choice
from byol_core.config import resolve

READS = ("item", "tolist", "numpy", "nonzero", "__bool__", "__float__", "__int__", "__index__")
AUGMENTED = {
    "augment.crop_p": 0.5,
    "augment.flip_p": 0.5,
    "augment.jitter_p": 0.8,
    "augment.blur_p": 0.5,
    "augment.solarize_p": 0.5,
}
NETWORKS = {
    "running averages": {"batch_norm.source": "running"},
    "other batch": {"batch_norm.source": "other_batch"},
    "shuffled groups": {"batch_norm.group": 4, "batch_norm.shuffle": True},
    "frozen from the second step on": {"batch_norm.frozen_from": 0.1},
    "a target of running averages": {"batch_norm.target": "eval"},
    "centred alone": {"batch_norm.parts": "centre"},
    "by constants": {"batch_norm.gradient": False},
}


@pytest.fixture
def nothing_is_read(monkeypatch):
    """Refuse it both by name and where PyTorch itself would read; views are made as on a GPU."""

    def refuse():
        monkeypatch.setattr(choice, "may_read", lambda images: False)
        for name in READS:

            def raise_error(*_, name=name, **__):
                raise HostWaitError(name)

            monkeypatch.setattr(torch.Tensor, name, raise_error)
        return NoHostWaits()

    yield refuse
    monkeypatch.undo()


def take_two_steps(config, refuse):
    """Take one step, in which states are made, then one in which nothing may be read."""
    lab = Lab(config)
    lab.step(0, measures=True)
    batch = lab.batch(1)
    with refuse():
        lab.trainer.step(batch, lab.at(1), measures=True)


def rows():
    """Every value of each axis; but DirectPred, whose eigenvectors are waited for."""
    new = [row for row, is_new in with_news(all_pairs(AXES)) if is_new]
    return [row for row in new if row["objective"] != "directpred"]


@pytest.mark.parametrize(
    "read",
    [
        float,
        bool,
        lambda x: x.tolist(),
        torch.nonzero,
        lambda x: x[x > 0],
        lambda x: x.new_zeros(3)[x.long()].sum().item(),
    ],
)
def test_what_reads_is_seen(read, nothing_is_read):
    value = torch.ones(())
    with nothing_is_read(), pytest.raises(HostWaitError):
        read(value)


@pytest.mark.parametrize("row", rows(), ids=lambda row: ", ".join(row.values()))
def test_a_step_waits_for_nothing(row, nothing_is_read):
    config = config_of(**row)
    augment = config.augment.model_validate(
        {**config.augment.model_dump(), **{k.split(".")[1]: v for k, v in AUGMENTED.items()}}
    )
    take_two_steps(config.model_copy(update={"augment": augment}), nothing_is_read)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_step_waits_for_no_batch_norm(kind, nothing_is_read):
    flat = {"batch_size": 16, "dataset.limit": 64, "epochs": 2, **NETWORKS[kind]}
    take_two_steps(resolve("digits-tiny", flat), nothing_is_read)
