"""`sweep status`: what it says of a sweep in every condition, how long it will take, what it used;
and that it stays short.
"""

import io
import json
import time
from dataclasses import replace

import pytest
from rich.console import Console

from orchestrator.database.collect import collect
from orchestrator.database.connect import open_database
from orchestrator.errors import UsageError
from orchestrator.executors.worker import AttemptContext, run_attempt
from orchestrator.launch.plan import make_plan
from orchestrator.launch.plan_files import write_plan
from orchestrator.launch.selection import Selection
from orchestrator.slurm.reasons import WORDS, explain
from orchestrator.spec import load_sweep
from orchestrator.status.folding import Family, families, fold_lines
from orchestrator.status.forecast import Forecast, makespan
from orchestrator.status.run_status import RunStatus
from orchestrator.status.sweep_status import SweepStatus, narrowed, sweep_statuses
from orchestrator.status.terminal import reason_lines, run_lines, status_view
from orchestrator.status.usage import Usage
from orchestrator.status.verdict import Health, summary, time_left, verdict
from orchestrator.store.jobs import JobFacts, Queue
from orchestrator.store.root import Root
from orchestrator.store.state import State
from orchestrator.text import duration


def runs(*states, variant="byol", **values):
    return [
        RunStatus(f"{i:x}" * 64, variant, i, State(state), **values)
        for i, state in enumerate(states)
    ]


def sweep_of(*states, **values):
    return SweepStatus("demo", 0.0, runs=runs(*states, **values))


def text_of(status, width=80):
    console = Console(file=io.StringIO(), width=width)
    console.print(status_view([Family(status.label, [status])], 0.1))
    return console.file.getvalue()


# Is it going well?

VERDICTS = {
    "all done": (["COMPLETED"] * 3, Health.DONE),
    "some run": (["COMPLETED", "RUNNING", "PLANNED"], Health.WELL),
    "all in the queue": (["SUBMITTED", "SUBMITTED"], Health.QUEUED),
    "some in the queue, some planned": (["SUBMITTED", "PLANNED"], Health.QUEUED),
    "nothing will happen by itself": (["COMPLETED", "PLANNED", "LOST"], Health.WAITS),
    "one failed while others run": (["RUNNING", "FAILED"], Health.TROUBLE),
    "out of memory": (["COMPLETED", "OOM"], Health.TROUBLE),
    "cancelled": (["CANCELLED"], Health.TROUBLE),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_first_line_says_whether_it_goes_well(name):
    states, word = VERDICTS[name]
    assert verdict(sweep_of(*states)) == word
    assert text_of(sweep_of(*states)).splitlines()[0].startswith(f"demo: {word.value}: ")


def test_with_a_launcher_at_work_what_is_planned_is_no_trouble():
    assert verdict(sweep_of("PLANNED"), launcher_at_work=True) == Health.WELL


def test_counts_name_the_states_behind_them():
    assert summary(sweep_of("COMPLETED", "RUNNING", "PLANNED", "LOST", "OOM")) == (
        "1/5 done, 1 running, 2 pending (1 planned, 1 lost), 1 oom"
    )
    assert summary(sweep_of("COMPLETED", outcome="diverged")) == "1/1 done (1 diverged)"


# Why


def test_every_reason_ends_with_slurms_own_word_and_an_unknown_one_is_kept():
    assert (
        explain("QOSMaxJobsPerUserLimit")
        == "your QOS lets no more of your jobs run at once (QOSMaxJobsPerUserLimit)"
    )
    assert explain("(Priority)") == "other jobs come first (Priority)"
    assert explain("AssocGrpGRES").startswith(
        "your account's share of GPUs"
    )  # the longest key, not `Assoc`
    assert explain("ReqNodeNotAvail, UnavailableNodes:n1").endswith(
        "(ReqNodeNotAvail, UnavailableNodes:n1)"
    )
    assert explain("launch_failed_requeued_held").startswith("its node could not start it")
    assert explain("SomethingNewIn2031") == "SomethingNewIn2031"
    assert all(words and not words.endswith(".") for words in WORDS.values())


def test_a_failure_says_what_and_at_which_step():
    (oom,) = runs(
        "OOM",
        reason="OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has …",
        step=310,
    )
    assert oom.why == "CUDA out of memory at step 310"
    (failed,) = runs(
        "FAILED", reason="DataError: batch_size 512 is larger than the 256 training images"
    )
    assert failed.why == "DataError: batch_size 512 is larger than the 256 training images"
    assert [run.why for run in runs("COMPLETED", "RUNNING", "PLANNED")] == [None] * 3


def test_equal_reasons_are_one_line_failures_first():
    alike = runs(*["SUBMITTED"] * 100, queue_reason="Priority") + runs(
        "SUBMITTED", queue_reason="Priority", variant="other"
    )
    lines = list(
        reason_lines(alike + runs("FAILED", "FAILED", reason="ValueError: x", variant="no_norm"))
    )
    assert lines == [
        "failed  no_norm seeds 0, 1 (0000000000): ValueError: x",
        "pending  101 runs: other jobs come first (Priority)",
    ]


def test_many_different_reasons_are_cut():
    different = [replace(run, reason=f"ValueError: {run.seed}") for run in runs(*["FAILED"] * 16)]
    lines = list(reason_lines(different))
    assert len(lines) == 9 and lines[-1].startswith("… and 8 reasons more")


def test_no_name_can_steer_the_terminal():
    nasty = SweepStatus(
        "demo", 0.0, runs=runs("FAILED", variant="\x1b[31m[bold]x", reason="\x1b]0;owned\x07")
    )
    assert "\x1b" not in text_of(nasty) and "[bold]x" in text_of(nasty)
    assert "\x1b" not in "".join(run_lines([nasty], "any"))


# How it looks


def test_ten_thousand_runs_fit_on_a_screen_or_two_and_lines_fit_in_80_columns():
    states = ["COMPLETED", "RUNNING", "SUBMITTED", "FAILED", "PLANNED"]
    many = [
        RunStatus(
            f"{i:064x}",
            f"optimizer.lr=0.{i // 10},target.tau_base=0.99",
            i % 10,
            State(states[i % 5]),
            reason=f"E: {i % 70}",
        )
        for i in range(10_000)
    ]
    started = time.perf_counter()
    lines = text_of(SweepStatus("big", 0.0, runs=many)).splitlines()
    assert time.perf_counter() - started < 2.0
    assert len(lines) < 150 and max(map(len, lines)) <= 80


def test_a_done_sweep_shows_no_empty_columns():
    lines = text_of(sweep_of("COMPLETED", "COMPLETED", probe=0.5, std_sqrt_d=0.02)).splitlines()
    assert lines[2].split() == ["variant", "done", "probe", "collapsed"] and lines[3].split() == [
        "byol",
        "2/2",
        "50.0%",
        "2/2",
    ]


def test_the_age_of_slurms_last_answer_is_shown_once_it_is_old():
    queued = sweep_of("SUBMITTED", job_id="7_0", queue_reason="Priority")
    assert "SLURM answers" in text_of(replace(queued, slurm_answered_at=time.time() - 5))
    assert "SLURM last answered 4 min 00 s ago" in text_of(
        replace(queued, slurm_answered_at=time.time() - 240)
    )
    assert "SLURM" not in text_of(sweep_of("RUNNING"))


def test_hours_used_and_expected_are_shown():
    told = replace(
        sweep_of("RUNNING"),
        usage=Usage(12.0, "GPU-hours", 12.0),
        forecast=Forecast(60.0, None, 24.0),
    )
    assert "12.00 of about 36.00 GPU-hours used" in text_of(told)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(45, "45 s"), (125, "2 min 05 s"), (11_400, "3 h 10 min"), (360_000, "4 d 4 h"), (0.4, "0 s")],
)
def test_durations_are_words(seconds, words):
    assert duration(seconds) == words


def test_filters_narrow_and_a_wrong_name_is_told():
    both = SweepStatus("demo", 0.0, runs=runs("RUNNING") + runs("FAILED", variant="no_norm"))
    (one,) = narrowed([both], ["no_norm"])
    assert [run.variant for run in one.runs] == ["no_norm"]
    with pytest.raises(UsageError, match="did you mean 'no_norm'"):
        narrowed([both], ["no_nrm"])
    assert len(list(run_lines([both], "failed"))) == 1 and len(list(run_lines([both], "any"))) == 2


# When, and what it used


def test_waiting_runs_take_the_place_that_is_free_first():
    # Two places: 10 and 2 s left; then 5, 5 go to the second (2 + 5 = 7, 7 + 5 = 12).
    assert makespan([10, 2, 5, 5], [True, True, False, False]) == 12
    assert makespan([3, 1], [True, True]) == 3  # never shorter than the longest


@pytest.fixture
def place(tmp_path, spec_file):
    """A root with the tiny spec planned, and its database."""
    root = Root(tmp_path / "root")
    root.create()
    plan = make_plan(load_sweep(spec_file()), root, Selection(), Queue())
    write_plan(plan, root)
    return root, plan, open_database(str(tmp_path / "results.db"))


def look(place, queue=None):
    root, _, engine = place
    collect(root, engine, queue or Queue())
    (status,) = sweep_statuses(engine)
    return status


@pytest.mark.slow
def test_the_forecast_counts_the_evaluation_of_runs_that_are_done(place):
    root, plan, _ = place
    for run in plan.start[:3]:
        run_attempt(root.path, run.run_id, AttemptContext("inline", capture=False), lambda: None)
    last = plan.start[3].run_id
    asked = iter([None, None])
    run_attempt(
        root.path, last, AttemptContext("inline", capture=False), lambda: next(asked, "stop")
    )
    events = root.run(last).attempt(1).events
    events.write_text(
        "".join(line for line in events.read_text().splitlines(True) if '"end"' not in line)
    )  # still at it
    status = look(place)
    walls = sorted(run.wall_s for run in status.runs if run.wall_s)
    assert status.counts() == {"COMPLETED": 3, "RUNNING": 1}
    low, high = status.forecast.range_s
    assert (
        0 < low <= status.forecast.eta_s <= high <= walls[-1] * 2 and not status.forecast.at_least
    )
    assert status.usage.unit == "core-hours" and status.usage.hours >= sum(walls) / 3600 * 0.95
    assert status.as_json()["hours_expected"] > status.usage.hours


def test_nothing_is_foretold_where_nothing_was_measured(place):
    status = look(place)
    assert (
        status.forecast == Forecast()
        and status.as_json()["eta_s"] is None
        and status.usage.hours == 0
    )


def test_what_slurm_says_of_a_job_is_kept_and_told_in_words(place):
    _, plan, _ = place
    first, second = (run.run_id for run in plan.start[:2])
    live = {
        first: JobFacts("7_0", "PENDING", 100.0, "QOSMaxJobsPerUserLimit"),
        second: JobFacts("7_1", "PENDING", 100.0, "Priority"),
    }
    status = look(place, Queue(live=live, answered_at=123.0))
    found = {run.run_id: run for run in status.runs}
    assert (
        found[first].state == State.SUBMITTED
        and found[first].job_id == "7_0"
        and found[first].submitted_at == 100.0
    )
    assert "your QOS" in found[first].why and "other jobs" in found[second].why
    assert status.slurm_answered_at == 123.0
    silent = Queue(
        unknown={
            run: replace(facts, reason="SLURM does not answer") for run, facts in live.items()
        },
        answered_at=123.0,
    )
    status = look(place, silent)
    assert {run.why for run in status.runs if run.run_id in live} == {"SLURM does not answer"}
    assert status.counts()["SUBMITTED"] == 2  # silence changes no state


def test_a_job_that_waits_for_something_else_or_starts_is_seen_at_the_next_look(place):
    run_id = place[1].start[0].run_id

    def told(word, reason="", job_id="7_0", node=""):
        status = look(place, Queue(live={run_id: JobFacts(job_id, word, 100.0, reason, node)}))
        run = next(run for run in status.runs if run.run_id == run_id)
        return run.reason, run.job_id, run.node

    assert (
        told("PENDING", "Priority")
        == told("PENDING", "Priority")
        == ("pending (Priority)", "7_0", None)
    )
    assert told("PENDING", "Resources") == ("pending (Resources)", "7_0", None)
    assert told("PENDING", "Resources", "8_0") == ("pending (Resources)", "8_0", None)
    assert told("RUNNING", "", "8_0", "n1") == ("running", "8_0", "n1")
    assert told("PENDING", "Resources", "8_0") == ("pending (Resources)", "8_0", None)


def test_people_read_accuracy_in_percent_and_programs_as_a_fraction():
    from orchestrator.status.diff import in_words
    from orchestrator.status.show import _evaluation_line
    from orchestrator.text import percent

    assert (percent(0.9123), percent(0.9123, 2), percent(1.0)) == ("91.2%", "91.23%", "100.0%")
    sweep = sweep_of("COMPLETED", "COMPLETED", probe=0.875)
    assert "87.5%" in text_of(sweep) and sweep.runs[0].as_json()["probe"] == 0.875
    evaluation = {"protocol": "knn", "version": 1, "online": {"accuracy": 0.25}}
    assert _evaluation_line(evaluation) == "knn      25.00% online (version 1)"
    assert in_words("probe.online.accuracy", 0.25) == "25.00%"
    assert in_words("optimizer.lr", 0.25) == "0.25"
    assert in_words("final.loss", 0.123456) == "0.1235" and in_words("final.loss", None) == "–"


def sweep_of_day(day, label, state=State.COMPLETED, **overrides):
    runs = [RunStatus(f"{day}" * 64, "byol", 0, state)]
    return SweepStatus(label, day * 86_400.0, overrides=overrides, runs=runs)


def test_sweeps_with_set_fold_under_their_spec_and_leave_a_week_after_they_are_over():
    statuses = [
        sweep_of_day(99, "norm+ffffff", epochs=9),
        sweep_of_day(98, "norm"),
        sweep_of_day(97, "norm+eeeeee", epochs=8),
        sweep_of_day(50, "norm+dddddd", State.RUNNING, epochs=7),
        sweep_of_day(49, "norm+cccccc", epochs=6),
        sweep_of_day(48, "tau"),
    ]
    norm, tau = families(statuses, now=100 * 86_400.0)
    assert [status.label for status in norm.whole] == ["norm+ffffff", "norm"]
    assert list(fold_lines(norm)) == [
        "norm+eeeeee: 1/1 done; with epochs=8",
        "norm+dddddd: 0/1 done, 1 running; with epochs=7",
        "… and 1 sweep of norm more with --set: --all",
    ]
    assert [status.label for status in tau.whole] == ["tau"] and list(fold_lines(tau)) == []


def test_many_sweeps_with_set_stay_a_few_lines():
    statuses = [sweep_of_day(200 - day, f"norm+{day:06}", epochs=day) for day in range(1, 101)]
    (family,) = families(statuses, now=200 * 86_400.0)
    lines = list(fold_lines(family))
    assert len(lines) < 10 and lines[-1] == "… and 93 sweeps of norm more with --set: --all"
    assert [status.label for status in family.whole] == ["norm+000001"]


def test_status_folds_unless_a_sweep_is_named_or_all_are_asked_for(sweep, spec_file, tmp_path):
    file, root = spec_file(), Root(tmp_path / "sweep-runs")
    root.create()
    for epochs in (1, 2, 3):
        planned = load_sweep(file, None, {"epochs": epochs})
        write_plan(make_plan(planned, root, Selection(), Queue()), root)
    labels = [one["sweep"] for one in json.loads(sweep("status", "--json").stdout)["sweeps"]]
    assert len(labels) == 3

    def whole(*arguments):
        text = sweep("status", *arguments, check=0).stdout
        assert all(label in text for label in labels) or arguments == (labels[1],)
        return text.count("launched 20")

    assert whole() == whole("tiny") == whole(labels[1]) == 1 and whole("--all") == 3


def test_a_run_that_diverged_is_named_with_its_step():
    diverged = RunStatus("a" * 64, "hot", 0, State.COMPLETED, outcome="diverged", step=7)
    fine = RunStatus("b" * 64, "byol", 0, State.COMPLETED, outcome="ok", step=8)
    (line,) = reason_lines([diverged, fine])
    assert line.startswith("diverged  hot seed 0 (aaaaaaaaaa): its loss was no number any more at")


def test_a_lower_bound_of_the_time_left_has_no_range():
    status = SweepStatus("demo", 0.0, forecast=Forecast(100.0, (50.0, 200.0), 0.1, at_least=True))
    assert time_left(status) == ", at least 1 min 40 s left"
