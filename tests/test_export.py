"""What leaves results.db: exports in three formats and DataFrames, held against each other and
against the event logs.
"""

import csv
import json
import math
import re
import tracemalloc
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from conftest import SPEC
from sqlalchemy import insert

from analysis import load
from analysis.export.files import FORMATS, ExportError, export
from analysis.results.connect import NoDatabaseError, reading
from analysis.results.relations import RELATIONS
from analysis.tables.build import UnknownSettingError
from byol_core.files import RecordLog, RecordReader, claim_folder
from orchestrator.database import schema
from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.machine.processes import this_process
from orchestrator.spec import load_sweep
from orchestrator.store.annotations import Kind, annotate
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

ODD = {"loss": [0.1, math.nan, math.inf, -math.inf, 1e-300, 1 / 3], "=formula": [1.0] * 6}
FORMULA = "=HYPERLINK(1)"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A root and its database: a run done in two attempts, one failed amid values that are not
    finite, two not started.
    """
    folder = tmp_path_factory.mktemp("place")
    (folder / "tiny.yaml").write_text(SPEC)
    root = Root(folder / "root")
    root.create()
    write_plan(make_plan(load_sweep(folder / "tiny.yaml"), root, Selection(), Queue()), root)
    done, failed = root.runs()[:2]
    asked = iter(range(3))
    job = AttemptContext("inline", capture=False, device="cpu", threads=1, log_every=1)
    run_attempt(
        root.path, done.run_id, job, lambda: None if next(asked, None) is not None else "asked to"
    )
    run_attempt(root.path, done.run_id, job, lambda: None)
    fail(failed, job)
    annotate(failed.path, Kind.EXCLUDE, FORMULA)
    annotate(root.sweep("tiny").path, Kind.TAG, "-paper")
    collect(root, open_database(str(folder / "results.db")), Queue())
    return root, folder / "results.db", done, failed


def fail(run, job):
    attempt = run.attempt(1)
    (run.path / "attempts").mkdir()
    claim_folder(
        attempt.path,
        "claim.json",
        {"process": asdict(this_process()), "job": asdict(job), "claimed_at": 1.0},
    )
    with RecordLog(attempt.events) as log:
        for step in range(6):
            metrics = {name: values[step] for name, values in ODD.items()}
            log.append(
                {
                    "t": 2.0,
                    "type": "metrics",
                    "step": step,
                    "epoch": 0,
                    "metrics": metrics,
                    "images_per_s": 5.0,
                }
            )
        log.append({"t": 3.0, "type": "end", "state": "FAILED", "reason": FORMULA})


def written(place, folder, format_):
    return {file.stem: file for file in export(str(place[1]), folder / format_, format_)}


def logged(run, metric):
    """Return {(attempt, step): value} from the event logs."""
    return {
        (attempt.number, record["step"]): {
            **record["metrics"],
            "images_per_s": record["images_per_s"],
        }[metric]
        for attempt in run.attempts()
        for record in RecordReader(attempt.events)
        if record["type"] == "metrics"
    }


def same(one, other):
    return one == other or (math.isnan(one) and math.isnan(other))


# Export


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_holds_the_whole_series_of_the_event_logs(place, tmp_path, format_):
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    file = written(place, tmp_path, format_)["series"]
    frame = {"csv": pd.read_csv, "json": pd.DataFrame, "parquet": pd.read_parquet}[format_](
        json.loads(file.read_text()) if format_ == "json" else file
    )
    for run in place[2:]:
        for metric in ("loss", "images_per_s"):
            found = frame[(frame["run_id"] == run.run_id) & (frame["metric"] == metric)]
            values = dict(
                zip(
                    zip(found["attempt"], found["step"], strict=True),
                    map(float, found["value"]),
                    strict=True,
                )
            )
            expected = logged(run, metric)
            assert values.keys() == expected.keys() and len(expected) >= 6
            assert all(same(values[key], expected[key]) for key in expected)


def test_csv_has_settings_and_results_as_columns_and_no_formula(place, tmp_path):
    files = written(place, tmp_path, "csv")
    runs = pd.read_csv(files["runs"]).set_index("run_id")
    done, failed = place[2], place[3]
    (probe,) = [one for one in done.evaluations() if one["protocol"] == "probe"]
    assert runs.loc[done.run_id, "probe_v3.online.accuracy"] == probe["online"]["accuracy"]
    assert runs.loc[done.run_id, "epochs"] == 2 and runs.loc[done.run_id, "sweeps"] == "tiny"
    assert runs["state"].value_counts().to_dict() == {"PLANNED": 2, "COMPLETED": 1, "FAILED": 1}
    assert runs.loc[failed.run_id, "reason"] == f"'{FORMULA}"
    assert runs.loc[failed.run_id, "excluded"] == f"'{FORMULA}"
    said = pd.read_csv(files["annotations"])
    assert [*said["run_id"].dropna()] == [failed.run_id] and [*said["text"]][1] == "'-paper"
    for file in files.values():
        cells = [cell for row in csv.reader(file.open()) for cell in row]
        assert not [
            cell
            for cell in cells
            if cell[:1] in tuple("=+@\t\r") or re.match(r"-(?![\d.]|inf)", cell)
        ]


def test_json_is_strict_and_a_line_a_record(place, tmp_path):
    for file in written(place, tmp_path, "json").values():
        lines = file.read_text().splitlines()
        records = json.loads(
            "\n".join(lines), parse_constant=lambda name: pytest.fail(f"{name} is no JSON")
        )
        assert records == [json.loads(line.removesuffix(",")) for line in lines[1:-1]] != []
    values = {
        record["value"] for record in json.loads((tmp_path / "json" / "series.json").read_text())
    }
    assert {"nan", "inf", "-inf"} <= values


def test_parquet_keeps_types_and_tells_nan_from_nothing(place, tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import compute, parquet

    files = written(place, tmp_path, "parquet")
    series = parquet.read_table(files["series"])
    assert (
        series.schema.field("step").type == arrow.int64()
        and series.schema.field("value").type == arrow.float64()
    )
    assert (
        compute.sum(compute.is_nan(series["value"])).as_py() == 1
        and series["value"].null_count == 0
    )
    runs = pd.read_parquet(files["runs"]).set_index("run_id")
    config = runs.loc[place[2].run_id, "config"]
    assert config["optimizer.lr"] == pytest.approx(place[2].config().optimizer.lr) and isinstance(
        config["epochs"], int
    )
    assert list(runs.loc[place[2].run_id, "sweeps"]) == ["tiny"]
    assert json.loads(pd.read_parquet(files["attempts"])["origin"][0])["versions"]["python"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_database_without_runs_gives_files_without_lines(tmp_path, format_):
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    open_database(str(tmp_path / "empty.db"))
    files = export(str(tmp_path / "empty.db"), tmp_path / "out", format_)
    assert [file.name for file in files] == [f"{one.name}.{format_}" for one in RELATIONS]
    if format_ == "json":
        assert [json.loads(file.read_text()) for file in files] == [[]] * 6


@pytest.mark.slow
@pytest.mark.parametrize("format_", FORMATS)
def test_memory_does_not_grow_with_the_points(tmp_path, format_):
    """300,000 points as tuples of Python objects would be 60 MB."""
    if format_ == "parquet":
        pytest.importorskip("pyarrow")
    many = [(run, 1, step, 1, step / 7, None) for run in range(1, 31) for step in range(10_000)]
    with open_database(str(tmp_path / "big.db")).begin() as connection:
        row = {
            "root": "r",
            "seed": 0,
            "config": "{}",
            "data_fingerprint": "",
            "data_split": "",
            "semantics": 1,
        }
        row |= {"state": "COMPLETED", "attempt": 1, "planned_at": 0.0, "stamp": ""}
        connection.execute(
            insert(schema.runs), [{"id": i, "run_id": f"{i:064x}", **row} for i in range(1, 31)]
        )
        connection.execute(insert(schema.metrics), [{"id": 1, "name": "loss"}])
        connection.exec_driver_sql("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?)", many)
    del many
    export(
        str(tmp_path / "big.db"), tmp_path / "warm", format_
    )  # so that what modules keep is not counted
    tracemalloc.start()
    export(str(tmp_path / "big.db"), tmp_path / "out", format_)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 40e6


def test_an_export_that_cannot_be_is_one_clear_error(place, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="is a file; name a folder"):
        export(str(place[1]), tmp_path / "file")
    with pytest.raises(NoDatabaseError, match="no such database; `sweep status` makes it"):
        export(str(tmp_path / "nothing.db"), tmp_path / "out")
    monkeypatch.setattr("analysis.export.files.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"pip install 'byol-sweeps\[parquet\]'"):
        export(str(place[1]), tmp_path / "parquet", "parquet")
    assert not (tmp_path / "parquet").exists()


def test_the_formats_of_the_command(sweep, place, tmp_path):
    places = ("--root", place[0].path, "--db", place[1])
    listed = sweep(*places, "export", "--format", "json", "--out", "out", check=0).stdout.split()
    assert listed == [f"out/{one.name}.json" for one in RELATIONS]
    refused = sweep(*places, "export", "--format", "xlsx", "--out", "out", check=2).stderr
    assert refused == "error: --format 'xlsx' does not exist; allowed: csv, json, parquet\n"


# DataFrames


def test_frames_hold_what_the_exports_hold(place, tmp_path):
    files = written(place, tmp_path, "csv")
    for name in ("runs", "sweeps", "attempts", "evaluations"):
        frame, read = getattr(load, name)(db=place[1]), pd.read_csv(files[name])
        assert list(frame.columns) == list(read.columns) and len(frame) == len(read) > 0
        for column in frame.select_dtypes("number"):
            ours, theirs = frame[column].astype(float), read[column].astype(float)
            assert np.array_equal(ours, theirs, equal_nan=True), column


def test_frames_are_typed(place):
    runs = load.runs(db=str(place[1]))
    types = {
        name: str(runs[name].dtype)
        for name in ("run_id", "seed", "wall_s", "optimizer.lr", "epochs")
    }
    assert types == {
        "run_id": "string",
        "seed": "Int64",
        "wall_s": "float64",
        "optimizer.lr": "float64",
        "epochs": "Int64",
    }
    assert str(load.attempts(db=place[1])["exact"].dtype) == "boolean"
    assert set(load.sweeps(db=place[1])["run_id"]) == set(runs["run_id"])


def test_a_series_takes_the_highest_attempt_where_several_logged_a_step(place):
    done, failed = place[2], place[3]
    found = load.series("loss", db=place[1])
    ours = found[found["run_id"] == done.run_id]
    expected = {step: value for (_, step), value in sorted(logged(done, "loss").items())}
    assert dict(zip(ours["step"], ours["value"], strict=True)) == expected and set(
        ours["attempt"]
    ) == {1, 2}
    odd = load.series("loss", [failed.run_id], db=place[1])["value"].tolist()
    assert all(same(one, other) for one, other in zip(odd, ODD["loss"], strict=True))
    with pytest.raises(
        load.UnknownMetricError, match="no series 'los' in these runs; did you mean 'loss'"
    ):
        load.series("los", db=place[1])
    assert load.series("loss", failed.run_id, db=place[1]).equals(
        load.series("loss", [failed.run_id], db=place[1])
    )
    with pytest.raises(load.UnknownRunError, match="no run has the id '9310'; ids are whole"):
        load.series("loss", ["9310"], db=place[1])


def test_an_overlap_of_attempts_is_taken_from_the_later(place, tmp_path):
    with open_database(str(tmp_path / "two.db")).begin() as connection:
        row = {
            "root": "r",
            "seed": 0,
            "config": "{}",
            "data_fingerprint": "",
            "data_split": "",
            "semantics": 1,
        }
        row |= {"state": "RUNNING", "attempt": 2, "planned_at": 0.0, "stamp": ""}
        connection.execute(insert(schema.runs).values(run_number=1, run_id="a" * 64, **row))
        connection.execute(insert(schema.metrics).values(id=1, name="loss"))
        points = [
            (1, 1, step, attempt, float(attempt), None)
            for step, attempt in ((0, 1), (1, 1), (1, 2), (2, 2))
        ]
        connection.exec_driver_sql("INSERT INTO points VALUES (?, ?, ?, ?, ?, ?)", points)
    assert load.series("loss", db=tmp_path / "two.db")["value"].tolist() == [1.0, 2.0, 2.0]


def test_a_table_has_the_rows_of_the_report(place):
    table = load.table("mlp_norm", db=place[1])
    main = table[table["metric"] == "accuracy"]
    assert len(main) == 7 and main.loc["BYOL", "published"] == 0.577 and set(main["n"]) <= {0, 1}
    with pytest.raises(UnknownSettingError, match="has no setting 'zzz'; settings: "):
        load.table("mlp_norm", setting="zzz", db=place[1])


def test_reading_leaves_the_database_as_it_is_and_cannot_write(place):
    before = place[1].read_bytes()
    load.runs(db=place[1])
    with (
        pytest.raises(NoDatabaseError, match="readonly"),
        reading(f"sqlite:///{place[1]}") as connection,
    ):
        connection.exec_driver_sql("DELETE FROM runs")
    assert place[1].read_bytes() == before


def test_a_missing_or_foreign_database_is_said(tmp_path):
    with pytest.raises(
        NoDatabaseError,
        match=r"nothing.db: there is no such database; `sweep status` makes it from the runs",
    ):
        load.runs(db=tmp_path / "nothing.db")
    assert list(tmp_path.iterdir()) == []
    with open_database(str(tmp_path / "old ?#%.db")).begin() as connection:
        connection.execute(schema.meta.update().values(value="0"))
    with pytest.raises(
        NoDatabaseError, match="schema version 0, this program reads version .*sweep rebuild"
    ):
        load.runs(db=tmp_path / "old ?#%.db")
    (tmp_path / "text").write_text("no database at all" * 100)
    with pytest.raises(NoDatabaseError, match="file is not a database"):
        load.series("loss", db=tmp_path / "text")
