"""A file of a root that cannot be taken sets its own sweep or run aside; the others go on."""

import pytest
from sqlalchemy import select

from byol_core.files import write_json
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.store.jobs import Queue

DAMAGES = {
    "empty": b"",
    "half": b'{"label": "ti',
    "null": b"null",
    "list": b"[]",
    "no keys": b"{}",
    "binary": b"\xff\xfe\x00\x01",
    "nan": b'{"label": NaN}',
}


def _damage(file, kind):
    file.unlink()
    if kind == "folder":
        file.mkdir()
    else:
        file.write_bytes(DAMAGES[kind])


@pytest.mark.parametrize("kind", [*DAMAGES, "folder"])
def test_a_damaged_description_sets_its_run_alone_aside(root, tmp_path, kind):
    first, *others = root.runs()
    _damage(first.description, kind)
    engine = open_database(str(tmp_path / "r.db"))
    damaged = collect(root, engine, Queue())
    assert len(damaged) == 1 and str(first.description) in damaged[0]
    with engine.connect() as connection:
        known = set(connection.scalars(select(schema.runs.c.run_id)))
    assert known == {run.run_id for run in others}


@pytest.mark.parametrize("kind", [*DAMAGES, "folder"])
def test_a_damaged_plan_sets_its_sweep_alone_aside(root, tmp_path, kind):
    plan = root.sweep("tiny").read_plan()
    write_json(root.sweep("tiny").plan, plan)
    other = root.sweep("other")
    other.path.mkdir()
    write_json(other.plan, {**plan, "label": "other"})
    _damage(root.sweep("tiny").plan, kind)
    engine = open_database(str(tmp_path / "r.db"))
    damaged = collect(root, engine, Queue())
    assert len(damaged) == 1 and str(root.sweep("tiny").plan) in damaged[0]
    with engine.connect() as connection:
        assert list(connection.scalars(select(schema.sweeps.c.label))) == ["other"]


def test_a_plan_that_names_a_row_twice_is_named(root, tmp_path):
    sweep = root.sweep("tiny")
    plan = sweep.read_plan()
    write_json(sweep.plan, {**plan, "runs": [*plan["runs"], plan["runs"][0]]})
    [damaged] = collect(root, open_database(str(tmp_path / "r.db")), Queue())
    assert "tiny/plan.json" in damaged and "twice" in damaged
