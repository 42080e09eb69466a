"""Making a run again: the packages that it ran with, and the commands that `sweep show` prints."""

import hashlib

from orchestrator.provenance import packages
from orchestrator.provenance.packages import record_packages
from orchestrator.store.root import Root


def test_the_installed_packages_are_kept_once_and_named_by_their_content(tmp_path, monkeypatch):
    root = Root(tmp_path)
    digest = record_packages(root)
    file = root.packages(digest)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
    assert any(line.startswith("torch==2") for line in file.read_text().splitlines())

    before = file.stat().st_ino
    assert record_packages(root) == digest and file.stat().st_ino == before
    monkeypatch.setattr(packages, "installed_packages", lambda: "torch==9.9\n")
    assert record_packages(root) != digest and len([*file.parent.iterdir()]) == 2
