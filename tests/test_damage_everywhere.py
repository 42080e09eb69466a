"""Each file of a root, damaged in each way, before each command: its own sweep or run is set
aside, by name and in one line, and the other sweep is shown as ever.

A seeded sample here; all of it on `make crash-test` (marker exhaustive).
"""

import json
import random
import re

import damage
import pytest
from damage import OF_FILES, OF_FOLDERS

SAMPLE = 24
"""Damages that the normal suite tries, of about 1,300; each meets one command."""

NAMED = {"plan.json", "run.json", "claim.json", "done.json", "probe-v1.json"}
"""Files without which a sweep or run is not what it was: `status` names them."""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with a sound root and its database."""
    folder = tmp_path_factory.mktemp("sound")
    damage.make_root(folder)
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """A memory of fingerprints of the test's own, and no training."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setattr("orchestrator.launch.launch.run_inline", lambda *_: None)


def cases(template):
    """Return (path below the root, whose it is, damage): of alike paths of one sweep, the first."""
    place = damage.Workplace(template)
    result, seen = [], set()
    for path in sorted(place.root.path.rglob("*")):
        parts = path.relative_to(place.root.path).parts
        if len(parts) == 1:
            continue
        is_tiny = parts[1] == "tiny" or parts[1] in place.runs
        owner = ("tiny" if is_tiny else "other") if parts[0] in ("runs", "sweeps") else "nobody"
        kind = (owner, re.sub("[0-9a-f]{64}", "RUN", "/".join(parts)))
        if kind not in seen:
            seen.add(kind)
            damages = OF_FOLDERS if path.is_dir() else OF_FILES
            result += [("/".join(parts), owner, name) for name in damages]
    return result


def looking(place):
    """Return commands that change nothing below the root."""
    run, other = (run_id[:16] for run_id in place.runs)
    return [
        ("status",),
        ("report", "--table", "mlp_norm", "--format", "json"),
        ("report", "tiny", "--table", "mlp_norm", "--format", "md"),
        ("export", "--out", place.folder / "out"),
        ("show", run),
        ("show", other, "--json"),
        ("logs", run),
        ("diff", run, other),
        ("launch", place.folder / "tiny.yaml", "--executor", "local", "--dry-run"),
        ("launch", place.folder / "other.yaml", "--executor", "local", "--dry-run"),
        ("cancel", "tiny", "--dry-run"),
        ("clean", "--dry-run", "--encoders"),
        ("rebuild",),
        ("rebuild", "--verify"),
        ("doctor",),
    ]


def changing(place):
    """Return commands that may change what lies below the root."""
    return [
        ("launch", place.folder / "tiny.yaml", "--executor", "inline"),
        ("launch", place.folder / "other.yaml", "--executor", "inline"),
        ("cancel", "tiny"),
        ("clean",),
    ]


def others_results(place):
    """Return what `status --json` says of the other sweep, but for times; and all that it says."""
    done = place.sweep("status", "--json")
    assert not done.status, done.text
    sweeps = {sweep["sweep"]: sweep["runs"] for sweep in json.loads(done.out)["sweeps"]}
    runs = sweeps.get("other", [])
    return [(run["variant"], run["state"], run["probe"], run["spread"]) for run in runs], done.text


def meet(template, target, case, commands_of):
    """Damage a file of a copy of the root and run commands; check what each of them does."""
    path, owner, kind = case
    place = damage.copy_root(template, target)
    expected, _ = others_results(place)
    (place.folder / "results.db").unlink()
    file = place.root.path / path
    (OF_FILES | OF_FOLDERS)[kind](file)

    # The other sweep is shown as ever, and what cannot be taken is named.
    with damage.in_time():
        results, text = others_results(place)
    if owner != "other":
        assert results == expected
    if file.name in NAMED and kind != "utf-16":  # which is read like any other JSON
        assert str(file) in text, text

    for words in commands_of(place):
        content = place.content()
        with damage.in_time():
            done = place.sweep(*words)
        assert "Traceback" not in done.text and "this is a bug" not in done.text, done.text
        assert done.status in (0, 1, 2), done.text
        errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
        assert len(errors) <= 1 and (errors or done.status < 2), done.text
        if commands_of is not changing:
            assert place.content() == content, f"{done.text}\nchanged the root"
        if words == ("rebuild",):
            assert done.status == 0, done.text


@pytest.mark.parametrize("number", range(SAMPLE))
def test_a_damaged_file_harms_its_own_run_or_sweep_alone(template, tmp_path, number):
    chance = random.Random(number)
    case = chance.choice(cases(template))
    print(case)

    def one_of(place):
        return [chance.choice(looking(place))]

    meet(template, tmp_path / "work", case, one_of)


@pytest.mark.exhaustive
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", [*OF_FILES, *OF_FOLDERS])
def test_each_damage_of_each_file_harms_its_own_run_or_sweep_alone(template, tmp_path, kind):
    for case in cases(template):
        if case[2] == kind:
            print(case)
            for commands in (looking, changing):
                meet(template, tmp_path / "work", case, commands)


def test_a_run_whose_result_is_damaged_is_left_and_the_rest_of_its_sweep_goes_out(
    template, tmp_path, monkeypatch
):
    place = damage.copy_root(template, tmp_path / "work")
    damaged, missing = map(place.root.run, place.runs)
    damaged.attempt(1).done.write_bytes(b"{")
    damage.shutil.rmtree(missing.path)
    started = []
    monkeypatch.setattr(
        "orchestrator.launch.launch.run_inline", lambda _, run_ids, *rest: started.extend(run_ids)
    )
    done = place.sweep("launch", place.folder / "tiny.yaml", "--executor", "inline")
    assert started == [missing.run_id], done.text
    assert str(damaged.attempt(1).done) in done.text and damaged.attempt(1).done.exists()


def test_a_run_whose_result_is_damaged_trains_again_when_it_is_retried(
    template, tmp_path, monkeypatch
):
    from orchestrator.executors import worker

    place = damage.copy_root(template, tmp_path / "work")
    run = place.root.run(place.runs[0])
    run.attempt(1).done.write_bytes(b"{")
    claimed = []
    monkeypatch.setattr(worker._Attempt, "run", lambda self: claimed.append(self.folder.number))
    context = worker.AttemptContext("inline", capture=False)
    worker.run_attempt(place.root.path, run.run_id, context, lambda: None)
    assert claimed == [2] and run.attempt(1).done.read_bytes() == b"{"


@pytest.mark.parametrize("name", ["attempts/0001/claim.json", "evaluations/probe-v1.json"])
def test_what_is_moved_away_lets_the_result_count_again(template, tmp_path, name):
    place = damage.copy_root(template, tmp_path / "work")
    file = place.root.run(place.runs[0]).path / name
    file.write_bytes(b"[]")
    damaged = place.sweep("rebuild")
    assert str(file) in damaged.text and "FAILED" in place.sweep("status", "--json").out
    file.rename(tmp_path / "aside")
    place.sweep("rebuild")
    assert "FAILED" not in place.sweep("status", "--json").out


def test_clean_keeps_all_of_a_run_whose_description_is_damaged(template, tmp_path):
    place = damage.copy_root(template, tmp_path / "work")
    damaged, sound = map(place.root.run, place.runs)
    damaged.description.write_bytes(b"[]")
    done = place.sweep("clean", "--encoders")
    assert done.status == 0 and done.err.count("\n") == 1 and str(damaged.description) in done.err
    assert (damaged.path / "encoder").exists() and not (sound.path / "encoder").exists()


def test_damaged_notes_of_fingerprints_and_of_code_are_made_again(template, tmp_path, monkeypatch):
    from byol_core.datasets.fingerprint import of_files
    from orchestrator.provenance import origin

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = tmp_path / "images"
    images.write_bytes(b"pixels")
    fingerprint = of_files([images])
    [note] = (tmp_path / "cache" / "byol-sweeps" / "fingerprints").iterdir()
    for content in (b"", b'{"sha256": 1}', b'{"sha256": "x"}', b"[]"):
        note.write_bytes(content)
        assert of_files([images]) == fingerprint

    place = damage.copy_root(template, tmp_path / "work")
    facts = place.root.code_facts(damage.running_code())
    for content in (b"", b'{"commit": 1}', b"[]"):
        facts.write_bytes(content)
        origin.record_code(place.root)
        assert "commit" in json.loads(facts.read_bytes())


@pytest.mark.slow
class TestDamagedIntents:
    """No run is sent twice where the log of its submission cannot be read as a whole."""

    @pytest.fixture
    def sent(self, fake_slurm, spec_file, tmp_path, monkeypatch):
        """Launch a sweep on a scripted SLURM, whose jobs wait."""
        from orchestrator.store.root import Root

        monkeypatch.chdir(tmp_path)
        place = damage.Workplace.__new__(damage.Workplace)
        place.folder, place.root = tmp_path, Root(tmp_path / "root")
        done = place.sweep("launch", spec_file(), "--executor", "slurm", "--no-wait")
        assert done.status == 0, done.text
        [log] = place.root.sweep("tiny").intent_logs()
        return place, log, spec_file()

    @pytest.mark.parametrize("kind", ["no line", "first line", "folder", "unreadable"])
    def test_nothing_is_sent_while_jobs_of_the_log_are_there(self, sent, fake_slurm, kind):
        place, log, spec = sent
        lines = log.read_bytes().splitlines(keepends=True)
        if kind == "no line":
            log.write_bytes(b"x" * 50 + b"\n")
        elif kind == "first line":
            log.write_bytes(lines[0].replace(b"intent", b"intend") + b"".join(lines[1:]))
        else:
            OF_FILES[kind](log)
        jobs = len(fake_slurm.jobs())
        done = place.sweep("launch", spec, "--executor", "slurm", "--no-wait")
        assert done.status == 1 and str(log) in done.err and "scancel --name=" in done.err
        assert "--executor local" not in done.err
        assert len(fake_slurm.jobs()) == jobs

        # Once its jobs are gone, what has no result goes out again.
        fake_slurm.end(*fake_slurm.jobs(), state="CANCELLED")
        done = place.sweep("launch", spec, "--executor", "slurm", "--no-wait")
        assert done.status == 0 and len(fake_slurm.jobs()) == 2 * jobs, done.text
