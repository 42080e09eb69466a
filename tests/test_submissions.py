"""The order of submissions is that in which they were made, whatever the clocks say."""

import pytest

from byol_core.files import RecordLog, make_folder
from orchestrator.store import intents
from orchestrator.store.submissions import next_number, submissions


@pytest.fixture
def submitted_at(root, monkeypatch):
    """Submit the first run of the root at a time; return the job id."""

    def submit(at, sweep="tiny"):
        monkeypatch.setattr(intents.time, "time", lambda: at)
        number = next_number(root)
        log = root.sweep(sweep).launches / f"launch-{number}.jsonl"
        ids = [f"{number}_0"]
        run_ids = [[root.runs()[0].run_id]]
        return intents.submit(root, log, f"sweep-{number}", run_ids, {}, lambda: ids, print)[0]

    return submit


def submitted_by_an_older_version(root, at):
    """Leave the log of a version that numbered nothing."""
    key = f"sweep-of-{at}"
    log_file = root.sweep("tiny").launches / f"{key}.jsonl"
    make_folder(log_file.parent)
    run_id = root.runs()[0].run_id
    with RecordLog(log_file) as log:
        log.append({"type": "intent", "key": key, "run_ids": [run_id], "at": at})
        log.append({"type": "acknowledged", "key": key, "job_ids": [key]})
    return key


def keys(root):
    return [entry.key for entry in submissions(root)]


def test_of_two_launchers_whose_clocks_differ_the_later_one_is_the_newer(root, run, submitted_at):
    for at, sweep in ((9000.0, "tiny"), (4000.0, "another"), (6000.0, "tiny"), (10.0, "another")):
        job_id = submitted_at(at, sweep)
        assert intents.newest_jobs(root) == {run.run_id: job_id}
    assert [entry.number for entry in submissions(root)] == [1, 2, 3, 4]


def test_submissions_without_a_number_stand_where_their_time_puts_them(root, submitted_at):
    old = [submitted_by_an_older_version(root, 100.0), submitted_by_an_older_version(root, 200.0)]
    submitted_at(300.0)
    between = submitted_by_an_older_version(root, 400.0)  # somebody went back for a while
    submitted_at(500.0)
    assert keys(root) == [*old, "sweep-1", between, "sweep-2"]


def test_a_submission_tells_which_attempts_were_before_it(root, run, submitted_at):
    submitted_at(1.0)
    run.attempt(3).path.mkdir(parents=True)
    submitted_at(1.0)
    assert [entry.attempts for entry in submissions(root)] == [[0], [3]]


def test_a_withdrawn_submission_keeps_its_number(root, run, submitted_at):
    submitted_at(1.0)
    (entry,) = submissions(root)
    with RecordLog(entry.log) as log:
        log.append({"type": "withdrawn", "key": entry.key, "at": 2.0, "may_come_late": True})
    assert submissions(root) == [] and next_number(root) == 2
