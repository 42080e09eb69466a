"""What the benchmarks measure is what the program does: their roots are collected like real ones,
their loggers log.
"""

import sys

import pytest
from conftest import REPO

from analysis import load
from byol_core.files import RecordReader
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.store.jobs import Queue


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    yield
    for name in ("synthetic", "rivals"):
        sys.modules.pop(name, None)


def test_a_synthetic_root_is_collected_like_a_real_one(benchmarks, tmp_path):
    from synthetic import make_root, metrics_at

    root = make_root(tmp_path, 20, 90)
    collect(root, open_database(str(tmp_path / "results.db")), Queue())
    runs = load.runs(db=tmp_path / "results.db")
    assert (
        len(runs) == 20
        and set(runs["state"]) == {"COMPLETED"}
        and runs["probe_v3.online.accuracy"].notna().all()
    )
    loss = load.series("loss", db=tmp_path / "results.db")
    assert len(loss) == 200 and set(loss["value"]) == {
        metrics_at(step)["loss"] for step in range(10)
    }


def test_our_logger_writes_a_step_as_the_worker_does(benchmarks, tmp_path):
    from rivals import ours

    with ours(tmp_path) as log:
        log(3, {"loss": 0.5})
    (events,) = tmp_path.glob("runs/*/attempts/0001/events.jsonl")
    (record,) = RecordReader(events)
    assert (record["type"], record["step"], record["metrics"]) == ("metrics", 3, {"loss": 0.5})
