"""What git tells of the code: null where it does not tell, a diff that applies, and nobody's settings
in between.
"""

import os
import subprocess

import pytest

from byol_core.files import read_json
from orchestrator.provenance import checkout, origin
from orchestrator.provenance.checkout import Checkout
from orchestrator.store.root import Root

LINES = "".join(f"line {number}\n" for number in range(20))


def git(folder, *arguments):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(
        ["git", "-C", folder, *identity, *arguments], capture_output=True, check=True
    )
    return done.stdout


@pytest.fixture
def repository(tmp_path):
    """A checkout with one commit of three files."""
    folder = tmp_path / "checkout"
    (folder / "byol_core").mkdir(parents=True)
    (folder / "byol_core" / "crlf.py").write_bytes(b"first\r\nsecond\r\n")
    (folder / "byol_core" / "step.py").write_text(LINES)
    (folder / "orchestrator").mkdir()
    (folder / "orchestrator" / "launch.py").write_text(LINES)
    git(folder, "init", "-q")
    git(folder, "-c", "core.autocrlf=false", "add", ".")
    git(folder, "commit", "-qm", "start")
    return folder


def edit(folder):
    """Change what a diff may lose: blank last lines, carriage returns, bytes, new files."""
    (folder / "byol_core" / "crlf.py").write_bytes(b"first\r\nchanged\r\n")
    (folder / "byol_core" / "step.py").write_text(LINES.replace("line 19\n", "line 19\n\n\n"))
    (folder / "byol_core" / "new one.py").write_bytes(b"word = 'gr\xfc\xdfe'\nno newline")
    (folder / "orchestrator" / "launch.py").write_text(LINES.replace("line 3\n", ""))
    return {
        name: (folder / name).read_bytes()
        for name in (
            "byol_core/crlf.py",
            "byol_core/step.py",
            "byol_core/new one.py",
            "orchestrator/launch.py",
        )
    }


def kept_diff(folder):
    asked = Checkout(folder)
    return asked.diff(asked.status())


SETTINGS = {
    "color.ui": "always",
    "core.quotePath": "false",
    "diff.colorMoved": "zebra",
    "diff.external": "false",
    "diff.mnemonicPrefix": "true",
    "diff.noprefix": "true",
    "diff.relative": "true",
    "diff.renames": "copies",
    "diff.suppressBlankEmpty": "true",
    "diff.upper.textconv": "tr a-z A-Z <",
    "status.showUntrackedFiles": "no",
    "status.relativePaths": "false",
}


def test_the_diff_applies_whatever_the_users_git_is_set_to(repository, tmp_path):
    for name, value in SETTINGS.items():
        git(repository, "config", name, value)
    (repository / ".git" / "info" / "attributes").write_text("*.py diff=upper\n")
    edited = edit(repository)
    (tmp_path / "kept.diff").write_bytes(kept_diff(repository))

    git(repository, "stash", "-u")
    for name in ("diff.noprefix", "diff.relative", "color.ui"):
        git(repository, "config", "--unset", name)
    git(repository, "apply", tmp_path / "kept.diff")
    assert {name: (repository / name).read_bytes() for name in edited} == edited


def test_a_file_with_a_secret_is_a_comment_and_the_others_apply(repository, tmp_path):
    edited = edit(repository)
    del edited["byol_core/step.py"]
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END PRIVATE KEY-----\n"
    (repository / "byol_core" / "step.py").write_text(LINES + key + "password = hunter22\n")
    diff = kept_diff(repository)
    (tmp_path / "kept.diff").write_bytes(diff)
    assert b"hunter22" not in diff and b"MIIEv" not in diff and b"# +[redacted]" in diff

    git(repository, "stash", "-u")
    git(repository, "apply", tmp_path / "kept.diff")
    assert {name: (repository / name).read_bytes() for name in edited} == edited
    assert (repository / "byol_core" / "step.py").read_text() == LINES


def test_a_file_that_does_not_fit_is_named_and_the_others_apply(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(checkout, "_KEPT_BYTES", 2000)
    edit(repository)
    (repository / "byol_core" / "step.py").write_text(LINES * 100)
    diff = kept_diff(repository)
    (tmp_path / "kept.diff").write_bytes(diff)
    assert b"characters in all] byol_core/step.py\n" in diff
    git(repository, "stash", "-u")
    git(repository, "apply", tmp_path / "kept.diff")
    assert (repository / "byol_core" / "crlf.py").read_bytes() == b"first\r\nchanged\r\n"


def recorded(folder, root, monkeypatch):
    monkeypatch.setattr(origin, "_CHECKOUT", folder)
    return origin.record_code(Root(root))


def test_a_new_file_makes_the_code_dirty_where_the_user_hides_new_files(
    repository, tmp_path, monkeypatch
):
    git(repository, "config", "status.showUntrackedFiles", "no")
    assert recorded(repository, tmp_path / "root", monkeypatch)["dirty"] is False
    (repository / "byol_core" / "added.py").write_text("")
    assert recorded(repository, tmp_path / "root", monkeypatch)["dirty"] is True


@pytest.mark.parametrize("trouble", ["exit 1", "exec sleep 5"])
def test_a_status_that_fails_or_hangs_is_unknown_and_not_clean(
    repository, tmp_path, monkeypatch, trouble
):
    real = subprocess.check_output(["sh", "-c", "command -v git"], text=True).strip()
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase " $* " in *" status "*) {trouble};; esac\nexec {real} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(checkout, "_TIMEOUT_S", 1)
    edit(repository)
    facts = recorded(repository, tmp_path / "root", monkeypatch)
    assert facts["dirty"] is None and len(facts["commit"]) == 40


def test_the_variables_of_a_hook_do_not_name_another_repository(repository, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "--allow-empty", "-qm", "of another")
    own = git(repository, "rev-parse", "HEAD").decode().strip()
    for name, value in {
        "GIT_DIR": other / ".git",
        "GIT_WORK_TREE": other,
        "GIT_INDEX_FILE": other / ".git" / "index",
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_CONFIG_PARAMETERS": "'diff.noprefix'='true'",
    }.items():
        monkeypatch.setenv(name, str(value))
    facts = recorded(repository, tmp_path / "root", monkeypatch)
    assert facts["commit"] == own and facts["dirty"] is False


def test_code_installed_in_an_ignored_folder_of_another_project_has_no_commit(
    repository, tmp_path, monkeypatch
):
    (repository / ".gitignore").write_text(".venv/\n")
    installed = repository / ".venv" / "site-packages"
    (installed / "byol_core").mkdir(parents=True)
    (installed / "byol_core" / "step.py").write_text("")
    facts = recorded(installed, tmp_path / "root", monkeypatch)
    assert facts == {"commit": None, "dirty": None, "remote": None}


def test_a_copy_that_launches_keeps_what_its_checkout_knew(repository, tmp_path, monkeypatch):
    edit(repository)
    root = Root(tmp_path / "root")
    facts = recorded(repository, root.path, monkeypatch)
    assert facts["dirty"] is True
    assert recorded(tmp_path, root.path, monkeypatch) == facts
    file = root.code_facts(origin.running_code())
    assert read_json(file) == facts and file.with_suffix(".diff").exists()
