"""The shell's questions: what bash, zsh and fish are told when a word of `sweep` is completed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO

from orchestrator.cli import complete
from orchestrator.cli.main import app


def in_bash(line):
    """As bash cuts it: at spaces and at "="."""
    words = line.replace("=", " = ").split(" ") if "=" in line else line.split(" ")
    return {
        "_SWEEP_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }


def in_zsh(line):
    return {"_SWEEP_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line}


def in_fish(line):
    return {
        "_SWEEP_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
    }


@pytest.fixture
def answers(monkeypatch, capsys):
    """Return the words that a shell is offered for a line that ends in its cursor."""

    def ask(line, shell=in_bash):
        with monkeypatch.context() as patch:
            for name, value in shell(line).items():
                patch.setenv(name, value)
            assert complete.is_asked()
            complete.answer(lambda: app(args=[], prog_name="sweep"))
        out = capsys.readouterr()
        assert out.err == ""
        text = out.out.removeprefix("_arguments '*: :((").removesuffix("))'\n")
        words = [word.partition("\t")[0].partition('":"')[0] for word in text.split("\n")]
        return [word.strip('"') for word in words if word and word != "_files"]

    return ask


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "sweeps").mkdir()
    for name in ("tau.yaml", "smoke.yaml"):
        shutil.copy(REPO / "sweeps" / name, tmp_path / "sweeps")
    (tmp_path / "mine.yaml").write_text("version: 1\nname: mine\nprofiles: {big: {}, small: {}}\n")
    for name in ("sweep-runs/sweeps/tau@quick", f"sweep-runs/runs/{'ab' * 32}"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "other" / "sweeps" / "elsewhere").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("shell", [in_bash, in_zsh, in_fish])
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sweep lau", ["launch"]),
        ("sweep launch --se", ["--set", "--seeds"]),
        ("sweep launch ", ["mine.yaml", "sweeps/smoke.yaml", "sweeps/tau.yaml"]),
        ("sweep launch sweeps/t", ["sweeps/tau.yaml"]),
        ("sweep doctor sweeps/s", ["sweeps/smoke.yaml"]),
        ("sweep launch mine.yaml --profile ", ["big", "small"]),
        ("sweep launch mine.yaml --profile s", ["small"]),
        ("sweep launch mine.yaml --table norm", ["norm", "norm_variants"]),
        (
            "sweep launch mine.yaml --set optimizer.la",
            ["optimizer.lambda_predictor", "optimizer.lars_form", "optimizer.lars_scope"],
        ),
        ("sweep launch mine.yaml --executor i", ["inline"]),
        ("sweep launch mine.yaml --retry failed,o", ["failed,oom"]),
        ("sweep status ta", ["tau@quick"]),
        ("sweep report ", ["tau@quick"]),
        ("sweep report --format l", ["latex"]),
        ("sweep report --table var", ["variants"]),
        ("sweep report --figure h", ["heat_map"]),
        ("sweep why norm_v", ["norm_variants"]),
        ("sweep why mlp_norm b", ["byol"]),
        ("sweep why --sweep tau@quick mlp_norm no_", ["no_norm"]),
        ("sweep why gone ", []),
        ("sweep show ", ["abababababab"[:10]]),
        ("sweep show abababababab", ["abababababab"]),
        ("sweep cancel --run a", ["ababababab"]),
        ("sweep keys target.ta", ["target.tau_base"]),
        ("sweep --root other status ", ["elsewhere"]),
        ("sweep status --root other ", ["elsewhere"]),
        # Nothing to offer, no word, no noise.
        ("sweep launch --profile ", []),
        ("sweep launch gone.yaml --profile ", []),
        ("sweep status --nonsense", []),
        ("sweep show zz", []),
        ("sweep --root /dev/null status ", []),
    ],
)
def test_words_are_completed(answers, folder, shell, line, offered):
    assert sorted(answers(line, shell)) == sorted(offered)


@pytest.mark.parametrize(
    ("shell", "offered"),
    [
        (in_bash, ["torch", "torchvision"]),
        (in_zsh, ["init.scheme=torch", "init.scheme=torchvision"]),
        (in_fish, ["init.scheme=torch", "init.scheme=torchvision"]),
    ],
)
def test_values_of_a_key_are_offered_behind_its_equals_sign(answers, folder, shell, offered):
    assert answers("sweep launch mine.yaml --set init.scheme=t", shell) == offered


def test_completion_writes_nothing(answers, folder):
    before = sorted(folder.rglob("*"))
    for line in ("sweep status ", "sweep show ", "sweep launch ", "sweep --db new.db report "):
        answers(line)
    assert sorted(folder.rglob("*")) == before


def test_an_empty_folder_is_silent(answers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not any(answers(f"sweep {words} ") for words in ("launch", "status", "show", "logs"))


def run_in(shell, script, folder):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(folder)}
    done = subprocess.run(
        [shell, "-c", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_bash_itself_completes_through_the_script_that_it_is_given(folder):
    script = (
        'eval "$(sweep --show-completion)"; complete -p sweep >/dev/null || exit 1\n'
        "COMP_WORDS=(sweep launch sweeps/t); COMP_CWORD=2; _sweep_completion sweep\n"
        'echo "${COMPREPLY[@]}"'
    )
    assert run_in("bash", script, folder) == ["sweeps/tau.yaml"]


def test_fish_itself_completes_through_the_script_that_it_is_given(folder):
    script = 'sweep --show-completion | source; complete -C "sweep launch sweeps/t"'
    assert run_in("fish", script, folder) == ["sweeps/tau.yaml"]


def test_a_shell_without_completion_is_told_which_have_it(folder):
    if not os.path.realpath("/bin/sh").endswith("dash"):
        pytest.skip("sh is another shell here")
    script = "sweep --show-completion 2>&1 && exit 1; true"
    assert {"bash,", "zsh,", "fish"} <= set(run_in("sh", script, folder))


def test_installing_adds_to_what_the_shell_reads_at_its_start(folder):
    run_in("bash", "sweep --install-completion; true", folder)
    assert "sweep.sh" in (folder / ".bashrc").read_text()
