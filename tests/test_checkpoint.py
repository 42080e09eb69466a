"""Checkpoints and kept encoders: a damaged one is replaced, a whole one stays, and a fault on the way
leaves the one or the other.
"""

import errno
import json
import os
import shutil

import pytest
import torch
from disk import DEAD, Disk

from byol_core.train.checkpoint import Checkpoints, load_state, save_state

STATE = {"online": {"weight": torch.arange(6.0).reshape(2, 3)}}
OTHER = {"online": {"weight": torch.zeros(2, 3)}}
FACTS = {"device": "cpu"}


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove(path):
    path.unlink()


def folder_in_place(path):
    path.unlink()
    path.mkdir()
    (path / "something").touch()


def link_to_nowhere(path):
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def as_json(value):
    def write(path):
        path.write_text(json.dumps(value))

    return write


DAMAGE = [
    *(("state.pt", do) for do in (empty, flip, remove, folder_in_place, link_to_nowhere)),
    *(("manifest.json", do) for do in (empty, remove, folder_in_place, link_to_nowhere)),
    *(("manifest.json", as_json(value)) for value in ([1], "text", {}, {"sha256": 1}, None)),
]


def weight(path):
    loaded = load_state(path)
    return None if loaded is None else loaded[0]["online"]["weight"]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("file", "damage"), DAMAGE)
def test_a_damaged_state_is_replaced_and_nothing_is_left_behind(tmp_path, file, damage):
    path = tmp_path / "encoder"
    save_state(path, OTHER, {})
    damage(path / file)
    assert load_state(path) is None
    save_state(path, STATE, {"step": 3})
    assert torch.equal(weight(path), STATE["online"]["weight"]) and names(tmp_path) == ["encoder"]
    assert names(path) == ["manifest.json", "state.pt"]


@pytest.mark.parametrize("kind", ["file", "empty folder", "link"])
def test_what_else_stands_in_its_place_is_replaced(tmp_path, kind):
    path, elsewhere = tmp_path / "encoder", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    if kind == "file":
        path.touch()
    elif kind == "link":
        path.symlink_to(elsewhere)
    else:
        path.mkdir()
    save_state(path, STATE, {})
    assert weight(path) is not None and (elsewhere / "mine").exists()
    assert names(tmp_path) == ["elsewhere", "encoder"]


def test_a_whole_state_of_that_name_stays(tmp_path):
    path = tmp_path / "encoder"
    save_state(path, STATE, {})
    before = (path / "state.pt").stat().st_ino
    save_state(path, OTHER, {})
    assert (path / "state.pt").stat().st_ino == before
    assert torch.equal(weight(path), STATE["online"]["weight"])


def test_a_state_that_is_no_dictionary_is_damaged(tmp_path):
    save_state(tmp_path / "encoder", [1, 2], {})
    assert load_state(tmp_path / "encoder") is None


def in_a_child(folder, fault, at_effect, action):
    """Do it on a disk that fails at its k-th effect; return whether it was reached."""
    child = os.fork()
    if child == 0:
        status = 0
        try:
            disk = Disk(folder, at_effect, fault)
            disk.install()
            action()
        except OSError as error:
            status = 0 if error.errno == fault else 1
        except BaseException:
            status = 1
        finally:
            os._exit(status or (2 if disk.count < at_effect else 0))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 2, DEAD)
    return code != 2


@pytest.mark.parametrize("fault", ["die", "power", errno.ENOSPC, errno.EIO])
def test_a_fault_while_a_damaged_state_is_replaced_leaves_it_or_a_whole_one(tmp_path, fault):
    damaged = tmp_path / "damaged"
    save_state(damaged, OTHER, {})
    flip(damaged / "state.pt")
    effect = 0
    reached = True
    while reached:
        effect += 1
        folder = tmp_path / str(effect)
        folder.mkdir()
        path = folder / "encoder"
        shutil.copytree(damaged, path)
        reached = in_a_child(folder, fault, effect, lambda path=path: save_state(path, STATE, {}))

        # Whole or damaged, never half of the two; and the next try mends it.
        now = weight(path)
        assert now is None or torch.equal(now, STATE["online"]["weight"])
        save_state(path, STATE, {})
        assert torch.equal(weight(path), STATE["online"]["weight"]) and names(folder) == ["encoder"]
    assert effect > 10


def test_a_full_disk_leaves_the_damaged_one_where_it_was(tmp_path, monkeypatch):
    path = tmp_path / "encoder"
    save_state(path, OTHER, {})
    flip(path / "state.pt")
    content = (path / "state.pt").read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("byol_core.train.checkpoint.publish_folder", full)
    with pytest.raises(OSError, match="No space"):
        save_state(path, STATE, {})
    assert (path / "state.pt").read_bytes() == content and names(tmp_path) == ["encoder"]


def test_a_damaged_checkpoint_of_the_same_step_is_replaced(tmp_path):
    checkpoints = Checkpoints(tmp_path, "0001")
    checkpoints.save(3, OTHER, FACTS)
    flip(tmp_path / "step-00000003.0001" / "state.pt")
    assert checkpoints.latest() is None
    checkpoints.save(3, STATE, FACTS)
    assert checkpoints.latest().step == 3
    assert torch.equal(checkpoints.latest().state["online"]["weight"], STATE["online"]["weight"])


def test_damaged_checkpoints_of_later_steps_push_out_no_whole_one(tmp_path):
    checkpoints = Checkpoints(tmp_path, "0001")
    for step in (7, 8):
        checkpoints.save(step, OTHER, FACTS)
        flip(tmp_path / f"step-{step:08d}.0001" / "state.pt")
    for step in (1, 2, 3):
        checkpoints.save(step, STATE, FACTS)
        assert checkpoints.latest().step == step
    assert names(tmp_path) == ["step-00000002.0001", "step-00000003.0001"]


def test_whole_checkpoints_of_a_newer_attempt_stay(tmp_path):
    Checkpoints(tmp_path, "0002").save(9, STATE, FACTS)
    Checkpoints(tmp_path, "0001").save(4, STATE, FACTS)
    assert names(tmp_path) == ["step-00000004.0001", "step-00000009.0002"]
    assert Checkpoints(tmp_path, "0002").latest().step == 9


def test_the_files_of_a_checkpoint_read_as_ever(tmp_path):
    """An older version reads these two files, and this one reads an older version's."""
    Checkpoints(tmp_path, "0001").save(12, STATE, FACTS)
    folder = tmp_path / "step-00000012.0001"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest.keys() == {"step", "numerics", "sha256"}
    assert manifest["sha256"].keys() == {"state.pt"}
    assert torch.load(folder / "state.pt", weights_only=True).keys() == {"online"}
