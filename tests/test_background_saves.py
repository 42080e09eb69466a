"""Checkpoints that are written while training goes on."""

import errno
import threading
from collections import OrderedDict, deque

import pytest
import torch
from conftest import Silent

from byol_core.train.background import BackgroundSaves, copy_to_host
from byol_core.train.checkpoint import Checkpoints


class Held(Checkpoints):
    """Checkpoints whose saving waits until it may go on."""

    def __init__(self, folder):
        super().__init__(folder, "0001")
        self.may_go_on = threading.Event()

    def save(self, *arguments):
        assert self.may_go_on.wait(10)
        super().save(*arguments)


class Outrun(Silent):
    def before_write(self):
        raise PermissionError("outrun")


@pytest.fixture
def held(tmp_path):
    return Held(tmp_path / "checkpoints")


def test_later_steps_do_not_change_what_is_being_saved(held):
    weights = torch.ones(3)
    with BackgroundSaves(held, Silent(), {}) as saves:
        saves.start(1, {"w": weights, "groups": [{"lr": 0.5}]})
        weights.zero_()
        held.may_go_on.set()
    checkpoint = held.latest()
    assert checkpoint.step == 1 and checkpoint.state["w"].tolist() == [1, 1, 1]


def test_the_observer_is_told_by_its_own_thread_once_the_checkpoint_is_there(held):
    observer = Silent()
    observer.checkpointed = lambda step: observer.checkpoints.append((step, threading.get_ident()))
    with BackgroundSaves(held, observer, {}) as saves:
        saves.start(1, {})
        saves.look()
        assert observer.checkpoints == [] and held.latest() is None
        held.may_go_on.set()
        saves.finish()
        assert observer.checkpoints == [(1, threading.get_ident())] and held.latest().step == 1


def test_the_next_one_waits_and_leaving_waits_for_the_last(held):
    observer = Silent()
    with BackgroundSaves(held, observer, {}) as saves:
        saves.start(1, {})
        threading.Timer(0.05, held.may_go_on.set).start()
        saves.start(2, {})
        assert observer.checkpoints == [1]
    assert observer.checkpoints == [1, 2] and held.latest().step == 2


def test_an_error_of_the_disk_is_raised_by_the_next_one_and_leaves_the_last_whole(
    tmp_path, monkeypatch
):
    checkpoints, observer = Checkpoints(tmp_path / "checkpoints", "0001"), Silent()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(OSError, match="No space") as caught,
        BackgroundSaves(checkpoints, observer, {}) as saves,
    ):
        saves.start(1, {})
        saves.finish()
        monkeypatch.setattr("os.fsync", full)
        saves.start(2, {})
        saves.start(3, {})
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC and caught.value.filename is not None
    assert observer.checkpoints == [1]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001.0001"]


def test_the_fence_is_asked_when_all_is_written_and_nothing_is_to_be_seen(tmp_path):
    checkpoints = Checkpoints(tmp_path, "0001")
    seen = []

    def look():
        seen.append(sorted(path.name for path in tmp_path.rglob("*")))

    checkpoints.save(7, {}, {}, look)
    assert seen == [[".step-00000007.0001.tmp", "manifest.json", "state.pt"]]

    with (
        pytest.raises(PermissionError, match="outrun"),
        BackgroundSaves(checkpoints, Outrun(), {}) as saves,
    ):
        saves.start(8, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007.0001"]


def test_an_error_of_the_training_is_the_one_that_is_told_and_the_checkpoint_counts(held):
    observer = Silent()
    held.may_go_on.set()
    with (
        pytest.raises(ZeroDivisionError),
        BackgroundSaves(held, observer, {}) as saves,
    ):
        saves.start(1, {})
        raise ZeroDivisionError
    assert observer.checkpoints == [1] and held.latest().step == 1


def test_a_copy_has_the_types_and_layout_of_the_state_and_none_of_its_memory():
    network = torch.nn.BatchNorm2d(2)
    state = {
        "net": network.state_dict(),
        "groups": [(1, 2.5), {"x": torch.ones(1, 3, 4, 4).to(memory_format=torch.channels_last)}],
    }
    copied = copy_to_host(state)
    assert type(copied["net"]) is OrderedDict and copied["net"]._metadata == state["net"]._metadata
    assert copied["groups"][0] == (1, 2.5)
    x = copied["groups"][1]["x"]
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.data_ptr() != state["groups"][1]["x"].data_ptr()
    network.weight.data.fill_(9)
    assert copied["net"]["weight"].tolist() == [1, 1]


def test_what_a_part_of_the_users_own_keeps_is_copied_too():
    state = {"seen": {1, 2}, "history": deque([torch.ones(2)]), "size": torch.Size([3])}
    copied = copy_to_host(state)
    state["seen"].add(3)
    state["history"][0].zero_()
    assert copied["seen"] == {1, 2} and copied["history"][0].tolist() == [1, 1]
    assert copied["size"] == (3,)
