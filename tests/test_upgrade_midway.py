"""A newer version of the program comes while a sweep of an older one runs, and goes again."""

import io
import sqlite3

import pytest
from rich.console import Console
from test_orchestrator_rebuild import finish

from byol_core.files import read_json, write_json
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.database.rebuild import rebuild
from orchestrator.errors import NewSchemaError
from orchestrator.launch.progress import LaunchView
from orchestrator.status.sweep_status import sweep_statuses
from orchestrator.store.jobs import Queue


@pytest.fixture
def db(tmp_path):
    return str(tmp_path / "results.db")


def upgrade(db):
    """Leave the database as a newer version would: of its own number, with a table we lack."""
    with sqlite3.connect(db) as other:
        newer = str(schema.VERSION + 1)
        other.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (newer,))
        other.execute("CREATE TABLE newer (x)")


def dump(db):
    with sqlite3.connect(db) as connection:
        return list(connection.iterdump())


def test_a_launch_that_goes_on_leaves_a_newer_database_alone_and_says_so_once(root, db):
    output = io.StringIO()
    with LaunchView(Console(file=output, width=300), "tiny", root, open_database(db)) as view:
        reporter = view.reporter()
        reporter.tick(Queue())
        upgrade(db)
        before = dump(db)
        for run in root.runs():
            finish(run)  # as its worker does, which knows no database
            view._next_s = 0.0
            reporter.tick(Queue())
    assert output.getvalue().count(f"schema version {schema.VERSION + 1}") == 1
    assert "the runs go on" in output.getvalue()
    assert dump(db) == before


def test_a_pass_begun_by_an_older_version_changes_nothing_in_a_newer_database(root, db):
    engine = open_database(db)
    upgrade(db)
    before = dump(db)
    with pytest.raises(NewSchemaError, match="use the version of the program that made it"):
        collect(root, engine, Queue())
    assert dump(db) == before


def test_the_newer_version_collects_what_the_older_launcher_left_behind(root, db, monkeypatch):
    engine = open_database(db)
    collect(root, engine, Queue())
    newer = schema.VERSION + 1
    upgrade(db)
    for run in root.runs():
        finish(run)
    with pytest.raises(NewSchemaError):
        collect(root, engine, Queue())

    monkeypatch.setattr(schema, "VERSION", newer)
    engine = open_database(db)
    assert collect(root, engine, Queue()) == []
    assert sweep_statuses(engine, "tiny")[0].all_done()


def test_going_back_is_another_database_or_a_rebuild_by_the_older_version(root, db):
    for run in root.runs():
        finish(run)
    collect(root, open_database(db), Queue())
    upgrade(db)
    assert rebuild(db, root, Queue()).runs == len(root.runs())
    assert sweep_statuses(open_database(db), "tiny")[0].all_done()


def test_files_of_a_newer_version_may_hold_more_than_this_one_knows(root, db):
    for run in root.runs():
        finish(run)
        attempt = run.attempt(1)
        for file in (run.description, attempt.claim, attempt.done):
            write_json(file, {**read_json(file), "of_a_newer_version": {"a": [1]}})
    plan = root.sweep("tiny").plan
    write_json(plan, {**read_json(plan), "of_a_newer_version": None})
    engine = open_database(db)
    assert collect(root, engine, Queue()) == []
    assert sweep_statuses(engine, "tiny")[0].all_done()
