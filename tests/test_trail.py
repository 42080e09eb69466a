"""A row of a table is followed back to its runs, and to commands that go on with it."""

import pytest
from planted import run, seeds_of
from planted_database import write

from analysis.report import report
from analysis.results.connect import reading
from analysis.trail.follow import UnknownRowError, trail


def followed(file, row, **kwargs):
    rebuilt = report(file, "mlp_norm", **kwargs)
    with reading(file) as connection:
        return trail(connection, rebuilt, row)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    runs = [
        *seeds_of("byol", [0.71, 0.72, 0.73]),
        *seeds_of("no_norm", [0.11, 0.12]),
        run("no_norm", 2, state="FAILED", outcome=None, evaluations={}, final={}),
        run("proj_only", 0, 0.5, excluded="wrong lens"),
    ]
    return write(tmp_path_factory.mktemp("trail") / "results.db", runs, reason="it burned")


def test_every_run_has_its_value_attempts_and_commands(file):
    row = followed(file, "byol")
    assert [(each.run.seed, each.value, each.counts) for each in row.runs] == [
        (0, 0.71, True),
        (1, 0.72, True),
        (2, 0.73, True),
    ]
    first = row.runs[0]
    attempt = first.attempts[0]
    assert (attempt.number, attempt.host, attempt.device) == (1, "node-1", "cpu, AMD EPYC")
    assert attempt.commit.startswith("a7c46421") and attempt.wall_s == first.wall_s == 61
    assert first.requests[0].sweep.label == "norm_ablation@quick"
    assert first.commands[0].text == f"sweep show {first.run.run_id[:10]}"
    assert row.baseline is None and row.differs == {} and row.missing == []


def test_a_row_names_what_tells_it_from_its_baseline(file):
    row = followed(file, "no_norm")
    assert row.differs == {"predictor.norm": ("none", "bn"), "projector.norm": ("none", "bn")}
    twin = followed(file, "byol").runs[1].run.run_id[:10]
    assert row.runs[1].commands[-1].text.endswith(f" {twin}")


def test_what_is_not_done_has_the_command_that_goes_on(file):
    row = followed(file, "no_norm")
    assert (row.runs[2].reason, row.runs[2].value, row.runs[2].counts) == ("it burned", None, False)
    spec = "/data/sweep-runs/sweeps/norm_ablation@quick/spec.yaml"
    launch = f"sweep --root /data/sweep-runs launch {spec} --profile quick --only no_norm"
    assert [command.text for command in row.commands] == [
        f"{launch} --seeds 2 --retry failed",
        f"{launch} --seeds 0,1,2 --rerun",
    ]


def test_a_seed_without_a_run_is_missing_and_launched_by_its_variant(file):
    row = followed(file, "proj_only")
    assert row.missing == [1, 2]
    assert row.commands[0].text.endswith("--only proj_only --seeds 1,2")
    assert not row.runs[0].counts and row.runs[0].run.excluded == "wrong lens"


def test_a_row_may_be_named_as_it_is_printed_and_an_unknown_one_is_told(file):
    label = followed(file, "no_norm").label
    assert followed(file, label.upper()).key == "no_norm"
    with pytest.raises(UnknownRowError, match="no row 'no_nrom'.*no_norm"):
        followed(file, "no_nrom")


def test_a_table_without_runs_has_trails_without_commands(tmp_path):
    file = write(tmp_path / "empty.db", [])
    row = followed(file, "byol")
    assert row.runs == [] and row.commands == [] and row.setting is None
