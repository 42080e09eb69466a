"""Options of `sweep launch` that contradict each other are refused before anything is read."""

import pytest
from typer.testing import CliRunner

from orchestrator.cli.main import app
from orchestrator.errors import UsageError


@pytest.fixture
def refused(tmp_path):
    """Launch a spec that is not there; return what is said, and check that nothing was made."""

    def refused(*options):
        root = tmp_path / "runs"
        words = ["--root", str(root), "launch", str(tmp_path / "none.yaml"), *options]
        done = CliRunner().invoke(app, words)
        assert isinstance(done.exception, UsageError) and not root.exists()
        return str(done.exception)

    return refused


@pytest.mark.parametrize(
    "option",
    [
        ["--dry-run"],
        ["--controller"],
        ["--wait"],
        ["--rerun"],
        ["--prune"],
        ["--queue"],
        ["--on-end", "true"],
        ["--on-fail", "true"],
        ["--retry", "failed"],
        ["--executor", "slurm"],
    ],
    ids=lambda words: words[0],
)
def test_a_try_goes_with_no_option_of_a_launch(refused, option):
    text = refused("--max-steps", "2", *option)
    assert text.startswith(f"--max-steps does not go with {option[0]}") and "\n" not in text


@pytest.mark.parametrize("option", ["--dry-run", "--no-wait"])
def test_a_controller_launches_and_waits(refused, option):
    assert f"--controller does not go with {option}" in refused("--controller", option)
