"""Data sets for machines without network: what to download elsewhere, and what is carried here."""

import hashlib
import io
import sys
import tarfile
from dataclasses import replace

import pytest
import torchvision.datasets
from typer.testing import CliRunner

from byol_core.datasets.archives import describe, put_in_place
from byol_core.datasets.errors import DataError
from byol_core.datasets.published import PUBLISHED, File
from orchestrator.cli.main import app

CONTENTS = {"train_X.bin": b"x" * 300, "train_y.bin": b"\x01\x02\x03"}


def published(name, content):
    return File(name, hashlib.md5(content).hexdigest(), len(content))


def tarred(contents, folder="stl10_binary"):
    """Return a .tar.gz with files that are wanted and one that is not."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in {"class_names.txt": b"cat", **contents}.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def carried(tmp_path, monkeypatch):
    """A small archive in the place of the real one, as it is published; runs look in data/."""
    file = tmp_path / "carried" / "stl10_binary.tar.gz"
    file.parent.mkdir()
    file.write_bytes(tarred(CONTENTS))
    members = tuple(published(name, content) for name, content in CONTENTS.items())
    archive = published(file.name, file.read_bytes())
    small = replace(PUBLISHED["stl10"], site="http://x/", archive=archive, files=members)
    monkeypatch.setitem(PUBLISHED, "stl10", small)
    monkeypatch.setenv("SWEEP_DATA", str(tmp_path / "data"))
    return file


def lying(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("name", ["STL10", "CIFAR10", "CIFAR100"])
def test_what_is_published_is_what_torchvision_checks(name):
    published, reader = PUBLISHED[name.lower()], getattr(torchvision.datasets, name)
    assert f"{published.site}{published.archive.name}" == reader.url
    assert (published.archive.md5, published.folder) == (reader.tgz_md5, reader.base_folder)
    checked = [*reader.train_list, *reader.test_list]
    if name != "STL10":
        checked.append([reader.meta["filename"], reader.meta["md5"]])
    assert [[file.name, file.md5] for file in published.files] == checked


def test_what_is_published_of_fashion_mnist_is_what_torchvision_checks():
    published, reader = PUBLISHED["fashion_mnist"], torchvision.datasets.FashionMNIST
    assert [published.site] == reader.mirrors
    assert [(file.name, file.md5) for file in published.files] == reader.resources


def test_the_url_sizes_and_checksums_are_printed_without_torch_or_network(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    done = CliRunner().invoke(app, ["data", "fetch", "stl10", "--print-url"])
    lines = done.stdout.splitlines()
    assert done.exit_code == 0 and lines == list(describe("stl10"))
    assert lines[0] == "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    assert "2640397119 bytes  md5 91f7769df0f17e558f3565bffb0c7dfb" in lines[1]
    assert all(len(line) <= 80 for line in lines)


def test_an_archive_that_was_carried_here_is_put_where_runs_look(carried, tmp_path):
    done = CliRunner().invoke(app, ["data", "fetch", "stl10", "--from", str(carried)])
    assert done.exit_code == 0 and "stl10 is in" in done.stdout
    assert lying(tmp_path / "data" / "stl10_binary") == CONTENTS


@pytest.mark.parametrize("inner", ["", "stl10_binary"])
def test_unpacked_files_are_copied_too(carried, tmp_path, inner):
    folder = tmp_path / "usb" / inner
    folder.mkdir(parents=True)
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    assert put_in_place("stl10", tmp_path / "usb") == tmp_path / "data"
    assert lying(tmp_path / "data" / "stl10_binary") == CONTENTS


def test_files_that_lie_there_already_are_checked_and_not_touched(carried, tmp_path):
    put_in_place("stl10", carried)
    folder = tmp_path / "data" / "stl10_binary"
    inodes = {file: file.stat().st_ino for file in folder.iterdir()}
    put_in_place("stl10", tmp_path / "data")
    assert {file: file.stat().st_ino for file in folder.iterdir()} == inodes

    (folder / "train_y.bin").write_bytes(b"\x01\x02\x04")
    with pytest.raises(
        DataError, match=r"train_y.bin .*has MD5 .*; it must be .*carry it here again"
    ):
        put_in_place("stl10", tmp_path / "data")


def cut(file):
    file.write_bytes(file.read_bytes()[:-20])


def flip(file):
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "problem"), [(cut, "bytes; it must have"), (flip, "MD5 .*; it must be")]
)
def test_an_archive_that_was_damaged_on_the_way_puts_nothing_in_place(
    carried, tmp_path, spoil, problem
):
    spoil(carried)
    with pytest.raises(DataError, match=problem):
        put_in_place("stl10", carried)
    assert lying(tmp_path / "data" / "stl10_binary") == {}


def test_a_file_that_is_missing_or_wrong_is_named_and_not_put_there(carried, tmp_path):
    folder = tmp_path / "usb"
    folder.mkdir()
    (folder / "train_X.bin").write_bytes(CONTENTS["train_X.bin"])
    with pytest.raises(DataError, match=r"holds no train_y.bin; .*--print-url"):
        put_in_place("stl10", folder)

    (folder / "train_y.bin").write_bytes(b"short"[:2])
    with pytest.raises(DataError, match="train_y.bin .*has 2 bytes; it must have 3"):
        put_in_place("stl10", folder)
    assert lying(tmp_path / "data" / "stl10_binary").keys() == {"train_X.bin"}


def test_an_archive_that_is_not_there_is_named(carried, tmp_path):
    done = CliRunner().invoke(app, ["data", "fetch", "stl10", "--from", str(tmp_path / "no.gz")])
    assert done.exit_code == 1
    assert "no.gz: No such file or directory" in str(done.exception)


def test_a_choice_of_both_ways_is_refused(carried):
    done = CliRunner().invoke(
        app, ["data", "fetch", "stl10", "--print-url", "--from", str(carried)]
    )
    assert "--print-url does not go with --from" in str(done.exception)
