"""Places where no results.db can be made: nothing is started, and one line says why."""

import pytest
from typer.testing import CliRunner

from orchestrator.database.connect import open_database
from orchestrator.errors import StoreError


def place(kind, tmp_path):
    if kind == "folder":
        (tmp_path / "results.db").mkdir()
        return tmp_path / "results.db"
    if kind == "file for a folder":
        (tmp_path / "file").write_text("")
        return tmp_path / "file" / "results.db"
    return tmp_path / "missing" / "results.db"


PLACES = {
    "folder": "Is a directory",
    "file for a folder": "Not a directory",
    "missing parent": "No such file or directory",
}


@pytest.mark.parametrize("kind", PLACES)
def test_where_no_database_can_be_made_the_error_says_why(tmp_path, kind):
    with pytest.raises(StoreError, match=f"no database can be made there: {PLACES[kind]}"):
        open_database(str(place(kind, tmp_path)))


@pytest.mark.parametrize("kind", PLACES)
def test_a_launch_that_cannot_record_its_runs_starts_none(root, spec_file, tmp_path, kind):
    from orchestrator.cli.main import app

    places = ["--root", str(root.path), "--db", str(place(kind, tmp_path))]
    done = CliRunner().invoke(app, [*places, "launch", str(spec_file()), "--executor", "inline"])
    assert done.exit_code != 0 and not any(run.attempts() for run in root.runs())
