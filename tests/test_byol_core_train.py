"""A run from config to results: exact resume, damaged checkpoints, divergence, the rows that are
not BYOL.
"""

import json

import numpy as np
import pytest
import torch
from training import CPU, Lab

from byol_core.config import ConfigError
from byol_core.images.load import batches
from byol_core.train import Options, train
from byol_core.train.checkpoint import Checkpoints, load_state

OPTIONS = Options(device="cpu", threads=1, log_every=1)


def weights(folder):
    state, _ = load_state(folder / "encoder")
    return {
        f"{network}.{name}": value
        for network, part in state.items()
        for name, value in part.items()
    }


def evaluations(folder):
    return {
        file.name: json.loads(file.read_text())
        for file in sorted((folder / "evaluations").iterdir())
    }


@pytest.mark.parametrize("method", ["byol", "moco"])
def test_a_run_stopped_anywhere_ends_bit_for_bit_like_one_that_was_not(
    tmp_path, tiny, silent, method
):
    config = tiny(
        method=method, optimizer__name="lars", optimizer__momentum=0.9, target__schedule="cosine"
    )
    whole = silent()
    expected = train(config, tmp_path / "whole", OPTIONS, whole)
    for stop_at in (0, 1, 3, 5, 7):
        folder, points = tmp_path / f"stop{stop_at}", {}
        first, second = silent(stop_at), silent()
        stopped = train(config, folder, OPTIONS, first)
        assert (stopped.outcome, stopped.step, stopped.reason) == ("stopped", stop_at, "asked to")
        result = train(config, folder, OPTIONS, second)
        assert second.starts == [(stop_at, 8, True)]
        for observer in (first, second):
            points.update({step: metrics for step, _, metrics in observer.points})
        assert points == {step: metrics for step, _, metrics in whole.points}
        assert result == expected and evaluations(folder) == evaluations(tmp_path / "whole")
        ours, theirs = weights(folder), weights(tmp_path / "whole")
        assert ours.keys() == theirs.keys() and all(
            torch.equal(ours[name], theirs[name]) for name in ours
        )


def test_a_finished_run_trains_nothing_when_called_again(tmp_path, tiny, silent):
    train(tiny(), tmp_path, OPTIONS, silent())
    again = silent()
    train(tiny(), tmp_path, OPTIONS, again)
    assert again.points == [] and again.starts == [(8, 8, True)]


def test_a_damaged_checkpoint_is_passed_over(tmp_path, tiny, silent):
    config = tiny()
    train(config, tmp_path / "whole", OPTIONS, silent())
    folder = tmp_path / "run"
    train(config, folder, OPTIONS, silent(2))
    train(config, folder, OPTIONS, silent(5))
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["step-00000002.0001", "step-00000005.0001"]
    for damaged in (
        lambda b: b[:-1],
        lambda b: b[:50] + bytes([b[50] ^ 1]) + b[51:],
        lambda b: b"",
    ):
        state = folder / "checkpoints" / names[1] / "state.pt"
        good = state.read_bytes()
        state.write_bytes(damaged(good))
        assert Checkpoints(folder / "checkpoints", "x").latest().step == 2
        state.write_bytes(good)
    state.write_bytes(b"nonsense")
    resumed = silent()
    train(config, folder, OPTIONS, resumed)
    assert resumed.starts == [(2, 8, True)]
    ours, theirs = weights(folder), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_planted_pickle_does_not_run(tmp_path, tiny, silent):
    class Canary:
        def __reduce__(self):
            return (open, (str(tmp_path / "canary"), "w"))

    train(tiny(), tmp_path / "run", OPTIONS, silent(2))
    (checkpoint,) = (tmp_path / "run" / "checkpoints").iterdir()
    torch.save({"trainer": Canary()}, checkpoint / "state.pt")
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    import hashlib

    manifest["sha256"]["state.pt"] = hashlib.sha256(
        (checkpoint / "state.pt").read_bytes()
    ).hexdigest()
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    assert Checkpoints(tmp_path / "run" / "checkpoints", "x").latest() is None
    assert not (tmp_path / "canary").exists()


@pytest.mark.slow
def test_resume_under_other_threads_is_marked_inexact(tmp_path, tiny, silent):
    train(tiny(), tmp_path, OPTIONS, silent(3))
    resumed = silent()
    train(tiny(), tmp_path, Options(device="cpu", threads=2, log_every=1), resumed)
    assert resumed.starts == [(3, 8, False)]


def test_only_two_checkpoints_are_kept(tmp_path, tiny, silent):
    observer = silent()
    train(tiny(), tmp_path, Options(device="cpu", threads=1, checkpoint_every_s=0), observer)
    assert observer.checkpoints == list(range(9))
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "step-00000007.0001",
        "step-00000008.0001",
    ]


def test_a_loss_that_is_not_finite_ends_the_run_at_its_step(tmp_path, tiny, silent):
    config = tiny(
        optimizer__lr=1e30, projector__norm="none", predictor__norm="none", encoder__norm="none"
    )
    observer = silent()
    result = train(config, tmp_path, OPTIONS, observer)
    assert result.outcome == "diverged" and 0 < result.step < 8
    assert not np.isfinite(observer.points[-1][2]["loss"]) and observer.points[-1][0] == result.step
    assert not (tmp_path / "encoder").exists() and not (tmp_path / "evaluations").exists()


def test_the_random_encoder_trains_nothing_but_is_calibrated(tmp_path, tiny, silent):
    observer = silent()
    result = train(tiny(method="random"), tmp_path, OPTIONS, observer)
    assert (
        result.outcome == "ok" and result.step == 0 and result.final == {} and observer.points == []
    )
    state = weights(tmp_path)
    assert any(name.endswith("running_mean") and bool(value.any()) for name, value in state.items())
    assert {name.split(".")[0] for name in state} == {"online"}, "there is no target to judge"
    for name, value in Lab(tiny()).online.encoder.named_parameters():
        assert torch.equal(state[f"online.{name}"], value)


def test_log_interval_changes_no_result(tmp_path, tiny, silent):
    often = train(tiny(), tmp_path / "often", OPTIONS, silent())
    seldom = train(
        tiny(), tmp_path / "seldom", Options(device="cpu", threads=1, log_every=7), silent()
    )
    assert often == seldom and often.final["std_sqrt_d"] > 0


def test_the_target_follows_by_tau_and_gets_no_gradient(tiny):
    lab = Lab(tiny(target__tau_base=0.9))
    before = lab.parameters("target")
    lab.step()
    online = lab.parameters()
    for name, value in lab.target.named_parameters():
        assert value.grad is None
        torch.testing.assert_close(
            value.detach(), 0.9 * before[name] + 0.1 * online[name], atol=1e-6, rtol=1e-5
        )


def test_a_target_that_moves_before_the_step_follows_the_weights_before_it(tiny):
    lab = Lab(tiny(target__tau_base=0.5, target__moves="before"))
    lab.step(0)
    start, moved = lab.parameters("target"), lab.parameters()
    lab.step(1)
    for name, value in lab.target.named_parameters():
        expected = 0.5 * start[name] + 0.5 * moved[name]
        torch.testing.assert_close(value.detach(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("tau", "same_as"), [(0.0, "online"), (1.0, "start")])
def test_tau_at_its_corners_is_exact(tiny, tau, same_as):
    lab = Lab(tiny(target__tau_base=tau, target__schedule="cosine"))
    start = lab.parameters("target")
    lab.steps(3)
    expected = start if same_as == "start" else lab.parameters()
    for name, value in lab.target.named_parameters():
        assert torch.equal(value, expected[name]), name


def test_the_moco_queue_holds_the_keys_of_a_step(tiny):
    lab = Lab(tiny(method="moco", loss__queue_size=200))
    before = lab.trainer.objective.state()["queue"].clone()
    lab.step()
    queue = lab.trainer.objective.state()["queue"]
    is_new = (queue != before).any(dim=1)
    assert queue.shape == (200, 64) and int(is_new.sum()) == 2 * lab.config.batch_size
    torch.testing.assert_close(queue.norm(dim=1), torch.ones(200))


def test_variants_see_the_same_images_and_views(tiny):
    first, second = (Lab(tiny(projector__norm=norm)).batch(5).views(CPU) for norm in ("bn", "none"))
    assert torch.equal(first, second) and not torch.equal(first[0], first[1])


def test_an_epoch_visits_each_image_at_most_once_in_an_order_of_its_own():
    first, second = (torch.cat(list(batches(100, 16, 0, epoch))) for epoch in (0, 1))
    assert len(first) == 96 == len(set(first.tolist())) and not torch.equal(first, second)


def test_a_batch_larger_than_the_data_is_an_error(tmp_path, tiny, silent):
    with pytest.raises(ConfigError, match="batch_size: 512 is larger than the 256 training images"):
        train(tiny(batch_size=512), tmp_path, OPTIONS, silent())


def test_a_damaged_evaluation_is_made_again_where_the_run_goes_on(tmp_path):
    from byol_core.train.run import _is_result_of

    file = tmp_path / "knn-v3.json"
    for content in (b"", b"{}", b'{"protocol": "probe"}', b"[1]"):
        file.write_bytes(content)
        assert not _is_result_of("knn", file)
    file.write_bytes(b'{"protocol": "knn", "version": 1}')
    assert not _is_result_of("knn", file)
    file.write_bytes(b'{"protocol": "knn", "version": 3}')
    assert _is_result_of("knn", file)


def test_a_result_is_written_where_a_folder_stands_in_its_place(tmp_path, tiny, silent):
    config = tiny(method="random", dataset__limit=64, batch_size=32)
    options = Options(device="cpu", threads=1, protocols=("knn",))
    train(config, tmp_path, options, silent())
    file = tmp_path / "evaluations" / "knn-v3.json"
    before = file.read_bytes()
    file.unlink()
    (file / "inside").mkdir(parents=True)
    assert train(config, tmp_path, options, silent()).outcome == "ok"
    assert file.read_bytes() == before
