"""The views of results.db, which people query: what they show, how fast, and with which programs."""

import re
import sqlite3

import pytest
import small_results
from conftest import REPO
from test_orchestrator_rebuild import change

from orchestrator.database.rebuild import rebuild, verify
from orchestrator.database.views import queries
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

VIEWS = [*queries("sqlite")]
PAGE = (REPO / "docs" / "database.md").read_text()
QUESTIONS = re.findall(
    r"^### ([^\n]+)\n\n```sql\n(.+?)```\n\n((?:    [^\n]+\n)+)", PAGE, re.M | re.S
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The path of a small database beside its root."""
    return small_results.make(tmp_path_factory.mktemp("small"))


def ask(db, query):
    """Return the lines of an answer, the names of its columns first; by plain sqlite3 alone."""
    with sqlite3.connect(f"file:{db}?mode=ro", uri=True) as connection:
        cursor = connection.execute(query)
        return [tuple(column[0] for column in cursor.description), *cursor.fetchall()]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_answers_a_program_that_knows_nothing_of_ours(made, view):
    header, *rows = ask(made, f"SELECT * FROM {view}")
    assert rows and f"| `{view}` |" in PAGE
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{view}` |")]
    assert set(re.findall(r"`(\w+)`", line)[1:]) == {*header}


def test_results_have_a_line_per_number(made):
    header, *rows = ask(made, "SELECT * FROM results ORDER BY variants, seed, protocol")
    lines = [dict(zip(header, row, strict=True)) for row in rows]
    assert len(lines) == 5 * 2
    first = lines[1]
    assert (first["protocol"], first["version"], first["network"]) == ("probe", 3, "online")
    assert (first["sweeps"], first["variants"], first["seed"]) == ("norms", "byol", 0)
    assert (first["name"], first["value"], first["final_std_sqrt_d"]) == ("accuracy", 0.91, 0.8)


def test_a_run_of_two_sweeps_is_one_line_and_forgotten_sweeps_are_not_named(made, tmp_path):
    db = copy_of(made, tmp_path)
    change(
        db,
        "INSERT INTO sweeps SELECT 2, 'again', name, root, profile, overrides, question, "
        "baseline, tables, seeds, semantics, launched_at, launched_by, tags, NULL FROM sweeps",
    )
    change(
        db,
        "INSERT INTO sweep_runs SELECT 2, 'plain', 0, run_id FROM sweep_runs "
        "WHERE variant = 'byol' AND seed = 0",
    )
    named = (
        "SELECT DISTINCT sweeps, variants FROM results WHERE variants LIKE '%byol%' AND seed = 0"
    )
    assert ask(db, named)[1:] == [("again, norms", "byol, plain")]
    change(db, "UPDATE sweeps SET forgotten_at = 1 WHERE id = 2")
    assert ask(db, named)[1:] == [("norms", "byol")]


def copy_of(made, folder):
    copy = folder / "copy.db"
    with sqlite3.connect(made) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    return str(copy)


def test_settings_are_plain_values(made):
    fast = "SELECT run_id FROM asked WHERE variant = 'fast' AND seed = 0"
    _, *rows = ask(made, f"SELECT key, value FROM settings WHERE run_id = ({fast})")
    values = dict(rows)
    assert values["optimizer.lr"] == 0.8 and values["method"] == "byol"
    assert values["loss.symmetric"] == "true" and values["schedule_by"] is None


def test_a_series_takes_each_step_from_the_highest_attempt(made):
    resumed = "SELECT run_id FROM asked WHERE variant = 'no_norm' AND seed = 1"
    _, *rows = ask(
        made,
        "SELECT step, attempt FROM series "
        f"WHERE metric = 'loss' AND run_id = ({resumed}) ORDER BY step",
    )
    assert rows == [(0, 1), (1, 1), (2, 2), (3, 2)]


def test_a_series_of_a_run_is_a_range_of_the_primary_key(made):
    """So it takes as long in a database of ten million points."""
    _, *plan = ask(
        made,
        "EXPLAIN QUERY PLAN SELECT step, value FROM series WHERE run_id = 'a' AND metric = 'loss'",
    )
    steps = [row[-1] for row in plan]
    assert "SEARCH points USING PRIMARY KEY (run_number=? AND metric=?)" in steps
    assert not [step for step in steps if step.startswith("SCAN")]

    _, *plan = ask(
        made, "EXPLAIN QUERY PLAN SELECT * FROM series WHERE metric = 'loss' AND step = 9"
    )
    steps = [row[-1] for row in plan]
    assert "SEARCH points USING PRIMARY KEY (run_number=? AND metric=? AND step=?)" in steps


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_looks_at_all_points_or_cells_for_each_line(made, view):
    _, *plan = ask(made, f"EXPLAIN QUERY PLAN SELECT * FROM {view} WHERE run_id = 'a'")
    scanned = {row[-1].split()[1] for row in plan if row[-1].startswith("SCAN")}
    assert not scanned & {"points", "evaluations", "summaries", "attempts", "runs"}


def test_attempts_are_in_words_and_times_in_utc(made):
    header, *rows = ask(made, "SELECT * FROM attempts_plain ORDER BY gpu_hours DESC, attempt DESC")
    first = dict(zip(header, rows[0], strict=True))
    assert first["started"] == "2023-11-14T23:13:20Z" and first["ended"] == "2023-11-14T23:28:20Z"
    assert (first["state"], first["device_model"], first["torch"]) == (
        "completed",
        "NVIDIA A100",
        "2.6.0",
    )
    assert first["hours"] == first["gpu_hours"] == 0.25 and first["git_commit"] == "10ffee1234"
    lost = [dict(zip(header, row, strict=True)) for row in rows if row[3] == "died without a word"]
    assert [(line["attempt"], line["counts"], line["exact"]) for line in lost] == [(1, "no", "yes")]


def test_asked_names_every_cell_of_the_spec(made):
    _, *rows = ask(made, "SELECT variant, seed, state FROM asked WHERE state <> 'completed'")
    assert sorted(rows) == [
        ("byol", 2, "deleted"),
        ("fast", 1, "failed"),
        ("fast", 2, "never launched"),
        ("no_norm", 2, "never launched"),
    ]


def views_in(db):
    return {row[0] for row in ask(db, "SELECT name FROM sqlite_master WHERE type = 'view'")[1:]}


def test_views_are_there_after_a_rebuild_and_an_upgrade(made, tmp_path):
    db = copy_of(made, tmp_path)
    root = Root(small_results.Path(made).parent / "sweep-runs")
    change(db, "CREATE VIEW of_somebody_else AS SELECT 7 AS seven")
    for spoil in ("DROP VIEW series", "UPDATE meta SET value = '5' WHERE key = 'schema_version'"):
        change(db, spoil)
        rebuild(db, root, Queue())
        assert views_in(db) == {*VIEWS, "of_somebody_else"}
    assert verify(db, root, Queue())[1] == []


def test_a_table_of_somebody_else_keeps_its_name(made, tmp_path):
    db = str(tmp_path / "results.db")
    rebuild(db, Root(tmp_path), Queue())
    change(db, "DROP VIEW results")
    change(db, "CREATE TABLE results AS SELECT 7 AS seven")
    rebuild(db, Root(tmp_path), Queue())
    assert ask(db, "SELECT * FROM results")[1:] == [(7,)]
    assert views_in(db) == {*VIEWS} - {"results"}


# The page


@pytest.mark.parametrize(("question", "query", "answer"), QUESTIONS)
def test_the_pages_queries_answer_what_it_says(made, question, query, answer):
    printed = [line.strip() for line in answer.splitlines()]
    assert printed == as_lines(ask(made, query))[: len(printed)], question


def test_the_page_answers_ten_questions():
    assert len(QUESTIONS) >= 10


def as_lines(rows):
    """Return an answer as the page prints it: columns side by side."""
    texts = [["" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]
