"""Local runs need a socket, and the folder for temporary files may be no place for it."""

import socket
import tempfile
from multiprocessing import connection, process
from pathlib import Path

import pytest

from orchestrator.errors import StoreError
from orchestrator.executors import sockets
from orchestrator.executors.sockets import make_socket_folder


@pytest.fixture
def no_folder_yet(monkeypatch):
    """This process as it is before it has made a socket."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    config = dict(process.current_process()._config)
    config.pop("tempdir", None)
    monkeypatch.setattr(process.current_process(), "_config", config)


def unusable(kind, tmp_path):
    """Return a TMPDIR that Python takes or names, and that cannot hold a socket."""
    folder = tmp_path / {"long": "x" * 120, "umlauts": "ä" * 45}.get(kind, kind)
    if kind == "file":
        folder.write_text("")
    elif kind != "missing":
        folder.mkdir()
    return folder


@pytest.mark.parametrize("kind", ["long", "umlauts", "missing", "file", "short"])
def test_any_tmpdir_leaves_a_place_for_a_socket(no_folder_yet, monkeypatch, tmp_path, kind):
    monkeypatch.setenv("TMPDIR", str(unusable(kind, tmp_path)))
    usual = tempfile.gettempdir()
    make_socket_folder()
    address = connection.arbitrary_address("AF_UNIX")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
    Path(address).unlink()
    assert tempfile.gettempdir() == usual  # what others put there stays where it was


def test_without_any_place_for_a_socket_the_error_names_tmpdir(
    no_folder_yet, monkeypatch, tmp_path
):
    monkeypatch.setenv("TMPDIR", str(unusable("long", tmp_path)))
    monkeypatch.setattr(sockets, "_SHORT", (str(tmp_path / "gone"),))
    with pytest.raises(StoreError, match=r"gone: No such .*; set TMPDIR to a writable folder of"):
        make_socket_folder()
    assert tempfile.gettempdir().endswith("x" * 120)
