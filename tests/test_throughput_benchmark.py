"""The benchmark of training: all sides train the same network, and its figures are what its times say."""

import json
import math
import sys
from io import StringIO

import pytest
import torch
from conftest import REPO

from byol_core.config import resolve
from byol_core.networks.encoder import Encoder

CPU = torch.device("cpu")
OPTIONS = {"precision": "fp32", "compute": "plain", "workers": 1, "device": "cpu", "threads": 1}


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(REPO / "benchmarks")
    yield
    for name in list(sys.modules):
        if name == "throughput" or name.partition(".")[0] == "trainers":
            del sys.modules[name]


def tiny_case():
    from trainers.cases import CASES

    return CASES["digits-tiny"].sized(8, None, False)


def test_every_case_is_a_config_on_processor_and_gpu(bench):
    from trainers.cases import CASES, GROUP_NORM, OURS, settings_of

    for case in CASES.values():
        for who in (OURS, *case.fixed):
            config = resolve(case.preset, settings_of(case, who, "bf16", True))
            assert config.batch_size == case.batch[True]
            assert config.encoder.norm == ("gn" if who == GROUP_NORM else "bn")


def test_others_get_an_encoder_of_the_same_size(bench):
    from trainers.cases import CASES, OURS, settings_of
    from trainers.networks import plain_encoder

    for case in CASES.values():
        config = resolve(case.preset, settings_of(case, OURS, "fp32", False))
        with torch.device("meta"):
            ours = Encoder(config.encoder, case.channels, config.batch_norm)
            theirs, width = plain_encoder(config.encoder.arch, config.encoder.stem, case.channels)
        sizes = [sum(p.numel() for p in net.parameters()) for net in (ours, theirs)]
        assert (sizes[0], ours.out) == (sizes[1], width), case.name


def test_the_same_work_is_counted_for_both_encoders(bench):
    from trainers.networks import plain_encoder
    from trainers.probes import flops_of

    config = resolve("digits-tiny", {})
    ours = Encoder(config.encoder, 1, config.batch_norm)
    theirs, _ = plain_encoder("tiny", config.encoder.stem, 1)
    images = torch.rand(4, 1, 16, 16)
    assert flops_of(lambda: ours(images)) == flops_of(lambda: theirs(images)) > 0


@pytest.mark.parametrize("mode", ["step", "used", "plain"])
def test_a_turn_takes_steps_of_the_trainer(bench, mode):
    from trainers.cases import OURS
    from trainers.clocks import time_turn
    from trainers.ours import Ours

    ours = Ours(tiny_case(), OURS, OPTIONS, CPU)
    before = [p.clone() for p in ours.trainer.online.parameters()]
    with ours.turn(mode) as step:
        turn = time_turn(step, 0.0, CPU)
    assert turn["steps"] == 2 and turn["wall_s"] > 0 and 0 <= turn["loss"] <= 4
    assert any(
        not torch.equal(p, old)
        for p, old in zip(ours.trainer.online.parameters(), before, strict=True)
    )


def test_phases_are_those_of_a_step_and_leave_the_trainer_as_it_was(bench):
    from trainers.cases import OURS
    from trainers.ours import Ours
    from trainers.report import phase_shares

    ours = Ours(tiny_case(), OURS, OPTIONS, CPU)
    phases = ours.phases(2)
    assert {"draws", "views", "forward", "backward", "measure", "whole step"} <= set(phases)
    shares = phase_shares({"phases": phases, "settings": {"device": "cpu"}})
    assert math.isclose(sum(shares.values()), 1) and shares["forward"] > 0
    assert "forward" not in vars(ours.trainer)


def test_pictures_are_noise_and_never_zeros(bench):
    from trainers.pictures import Pictures, random_pixels

    pixels = random_pixels(4, 3, 8)
    assert pixels.float().std() > 50 and torch.equal(pixels, random_pixels(4, 3, 8))
    pictures = Pictures(pixels, lambda image: image.getpixel((1, 0)))
    assert pictures[5] == (tuple(pixels[1, :, 0, 1].tolist()), 0)
    assert Pictures(pixels[:, :1], lambda image: image.mode)[0][0] == "L"


def ask_worker(monkeypatch, assignment, requests):
    from trainers import worker

    answers = StringIO()
    monkeypatch.setattr(sys, "argv", ["worker", json.dumps(assignment)])
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    monkeypatch.setattr(sys, "stdin", StringIO(lines))
    worker.main(answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def assignment_of(who, **more):
    sizes = {"case": "digits-tiny", "batch": 8, "side": None, "spawned_at": 0.0}
    return {**OPTIONS, **sizes, "contestant": who, **more}


def test_a_worker_answers_line_by_line(bench, monkeypatch):
    requests = [{"do": "turn", "mode": "step", "seconds": 0.0}, {"do": "counts"}]
    ready, turn, counts = ask_worker(monkeypatch, assignment_of("byol-sweeps"), requests)
    assert ready["batch"] == 8 and "networks" in ready["start_s"] and ready["parameters"] > 0
    assert turn["steps"] == 2
    assert counts["flops"] > 0 and counts["kernels"]["used"]["operators"] > 0


@pytest.mark.parametrize("who,module", [("lightly", "lightly"), ("solo-learn", "solo")])
def test_a_trainer_that_is_not_installed_is_named(bench, monkeypatch, who, module):
    monkeypatch.setitem(sys.modules, module, None)
    (answer,) = ask_worker(monkeypatch, assignment_of(who), [])
    assert module in answer["error"]


def test_a_way_to_compute_that_is_not_here_is_refused(bench, monkeypatch):
    (answer,) = ask_worker(monkeypatch, assignment_of("byol-sweeps", compute="quantum"), [])
    assert "quantum" in answer["error"]


def measurement(other, runs=1, busy_s=2.0):
    def turn(who, pair, steps):
        each = {"steps": steps, "wall_s": 2.0, "core_s": 1.0, "busy_s": busy_s, "loss": 1.0}
        return {"pair": pair, "mode": "step", "who": who, "runs": [each] * runs}

    side = {
        "batch": 10,
        "version": "1.0",
        "start_s": {"networks": 1.5},
        "machine": {"device": "a processor", "python": "3.11", "packages": {"torch": "2"}},
        "flops": 1e9,
        "memory": 2e9,
        "kernels": {"step": {"operators": 7}, "used": {"operators": 9}},
    }
    settings = {"batch": None, "side": None, "runs": runs, "device": "cpu", "threads": 1}
    return {
        "made": "2026-01-01T00:00:00+00:00",
        "case": "norms",
        "what": "a net",
        "settings": {**settings, "precision": "fp32", "cores": 2},
        "contestants": {"byol-sweeps": side, other: side},
        "absent": {"solo-learn": "No module named 'solo'"},
        "peak": {"wall": 1e10, "core": 1e10},
        "turns": [
            turn(who, pair, steps)
            for pair, both in enumerate([(4, 2), (6, 2), (8, 2)])
            for who, steps in zip(("byol-sweeps", other), both, strict=True)
        ],
        "phases": {},
    }


def test_ratios_are_of_pairs_and_group_norm_is_divided_by_batch_norm(bench):
    from trainers.cases import GROUP_NORM
    from trainers.report import as_text, rates, ratios, share_of_peak

    lightly = measurement("lightly")
    assert rates(lightly, "byol-sweeps", "step") == [20, 30, 40]
    assert ratios(lightly, "lightly", "step") == [2, 3, 4]
    assert share_of_peak(lightly, "byol-sweeps", "step", "wall_s") == pytest.approx(0.3)
    assert "byol-sweeps by lightly: 3.00× (2.00–4.00, 3 pairs)" in as_text(lightly, False)
    assert ratios(measurement(GROUP_NORM), GROUP_NORM, "step") == [1 / 2, 1 / 3, 1 / 4]


def test_runs_side_by_side_add_up(bench):
    from trainers.report import rates

    result = measurement("lightly", runs=4)
    assert rates(result, "byol-sweeps", "step") == [80, 120, 160]
    assert rates(result, "byol-sweeps", "step", "core_s") == [40, 60, 80]


def test_a_busy_machine_makes_figures_provisional(bench):
    from trainers.report import as_text, others_share

    assert others_share(measurement("lightly", busy_s=1.0)) == 0
    assert others_share(measurement("lightly", busy_s=3.0)) == 0.5
    assert others_share(measurement("lightly", runs=2, busy_s=2.0)) == 0
    assert "Provisional" in as_text(measurement("lightly", busy_s=3.0), False)
    assert "Provisional" not in as_text(measurement("lightly", busy_s=1.0), False)


def test_tables_fit_a_terminal_and_are_read_back_as_markdown(bench, tmp_path, monkeypatch, capsys):
    import throughput
    from trainers.cases import GROUP_NORM
    from trainers.report import as_text, file_name, write_result

    result = measurement(GROUP_NORM)
    text = as_text(result, False)
    assert max(map(len, text.splitlines())) <= 80
    assert "Not measured: solo-learn (No module named 'solo')." in text
    write_result(result, tmp_path / "new" / file_name(result))
    monkeypatch.setattr(sys, "argv", ["throughput", "--show", str(tmp_path / "new")])
    throughput.main()
    printed = capsys.readouterr().out
    assert "| byol-sweeps | 30.0 |" in printed

    page = tmp_path / "page.md"
    page.write_text("above\n<!-- tables -->\nold\n<!-- end of tables -->\nbelow\n")
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--into", str(page)])
    throughput.main()
    throughput.main()
    assert page.read_text().count("| byol-sweeps | 30.0 |") == 1
    assert page.read_text().startswith("above") and page.read_text().endswith("below\n")
    assert "old" not in page.read_text()


@pytest.mark.parametrize(
    "page, words",
    [
        ("# No marks\n", "it has no lines <!-- tables -->"),
        ("<!-- tables -->\nold\n", "and <!-- end of tables -->"),
        (None, "it has no lines"),
    ],
)
def test_tables_go_nowhere_but_between_marks(bench, tmp_path, monkeypatch, page, words):
    import throughput

    file = tmp_path / "page.md"
    if page is not None:
        file.write_text(page)
    monkeypatch.setattr(throughput, "read_results", lambda folder: [{}])
    monkeypatch.setattr(throughput, "as_text", lambda result, is_markdown: "new")
    monkeypatch.setattr(sys, "argv", ["", "--show", str(tmp_path), "--into", str(file)])
    with pytest.raises(SystemExit, match=words):
        throughput.main()
    assert (file.read_text() if file.exists() else None) == page


def test_a_folder_without_measurements_wipes_no_tables(bench, tmp_path, monkeypatch):
    import throughput

    file = tmp_path / "page.md"
    file.write_text("<!-- tables -->\nold\n<!-- end of tables -->\n")
    monkeypatch.setattr(sys, "argv", ["", "--show", str(tmp_path), "--into", str(file)])
    with pytest.raises(SystemExit, match="no measurements are there"):
        throughput.main()
    assert "old" in file.read_text()


def test_sizes_are_a_grid_and_unknown_names_are_refused(bench, capsys):
    import throughput

    given = throughput.parse(["--batches", "64,128", "--runs", "1,2"])
    assert len(throughput.sizes(given)) == 4 and given.device in ("cpu", "cuda")
    with pytest.raises(SystemExit):
        throughput.parse(["--cases", "r19"])
    assert "'r19' is none of digits-tiny" in capsys.readouterr().err


def test_what_make_bench_runs_is_understood(bench):
    import throughput

    text = (REPO / "Makefile").read_text()
    (line,) = [line for line in text.splitlines() if "benchmarks/throughput.py" in line]
    arguments = line.partition("throughput.py ")[2].replace("$(BENCH_OPTIONS)", "").split()
    assert throughput.parse(arguments).minutes <= 8


def test_figures_of_the_manual_are_what_its_files_say(bench):
    from trainers.report import as_text, read_results

    manual = (REPO / "docs/performance.md").read_text()
    results = list(read_results(REPO / "docs/performance"))
    assert results
    for result in results:
        assert as_text(result, True) in manual
