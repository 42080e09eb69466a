"""Schedules of the learning rate and τ, against the official code's formulae."""

import math

import numpy as np
import pytest

from byol_core.config import resolve
from byol_core.optim.schedules import Schedules, learning_rate, target_memory_steps, target_tau


def test_rates_and_tau_of_a_whole_run_are_deepminds():
    settings = {
        "epochs": 10,
        "optimizer.lr": 2.0,
        "optimizer.schedule": "cosine",
        "optimizer.warmup_epochs": 2.0,
        "target.schedule": "cosine",
        "target.tau_base": 0.9,
    }
    config = resolve("digits-tiny", settings)
    schedules = Schedules(config, 5)
    for step in range(50):
        decay = 0.5 * (1 + np.cos(np.pi * (step - 10) / 40))
        expected = 2.0 * step / 10 if step < 10 else 2.0 * decay
        assert schedules.rate(step) == pytest.approx(expected)
        tau = 1 - 0.1 * 0.5 * (1 + np.cos(np.pi * step / 50))
        assert schedules.tau(step) == pytest.approx(tau)


def test_by_epoch_all_steps_have_the_value_of_the_first():
    settings = {"optimizer.schedule": "cosine", "target.schedule": "cosine", "epochs": 4}
    by_step = Schedules(resolve("digits-tiny", settings), 3)
    by_epoch = Schedules(resolve("digits-tiny", {**settings, "schedule_by": "epoch"}), 3)
    for step in range(12):
        first = step // 3 * 3
        assert by_epoch.rate(step) == by_step.rate(first)
        assert by_epoch.tau(step) == by_step.tau(first)


def test_a_run_that_stops_early_has_the_first_part_of_longer_schedules():
    settings = {"optimizer.schedule": "cosine", "target.schedule": "cosine"}
    whole = Schedules(resolve("digits-tiny", {**settings, "epochs": 320}), 7)
    part = Schedules(resolve("digits-tiny", {**settings, "epochs": 10, "schedule_epochs": 320}), 7)
    for step in range(70):
        assert part.rate(step) == whole.rate(step)
        assert part.tau(step) == whole.tau(step)


def test_accumulation_moves_no_schedule_on():
    settings = {"optimizer.schedule": "cosine", "target.schedule": "cosine", "batch_size": 64}
    whole = Schedules(resolve("digits-tiny", settings), 20)
    parts = Schedules(resolve("digits-tiny", {**settings, "accumulate": 4}), 20)
    assert [whole.tau(step) for step in range(60)] == [parts.tau(step) for step in range(60)]


def test_tau_ends_at_one_and_its_corners_never_move():
    assert target_tau(0, 100, 0.99, "cosine") == pytest.approx(0.99)
    assert target_tau(50, 100, 0.99, "cosine") == pytest.approx(0.995)
    assert target_tau(100, 100, 0.99, "cosine") == target_tau(130, 100, 0.99, "cosine") == 1.0
    assert target_tau(70, 100, 0.99, "constant") == 0.99
    for corner in (0.0, 1.0):
        assert {target_tau(step, 100, corner, "cosine") for step in range(101)} == {corner}


def test_the_rate_warms_up_falls_to_zero_and_stays_there():
    rates = [learning_rate(step, 100, 10, 2.0, "cosine") for step in range(120)]
    assert rates[0] == 0 and rates[5] == pytest.approx(1.0) and rates[10] == 2.0 == max(rates)
    assert rates[55] == pytest.approx(1.0)
    assert rates[100:] == pytest.approx([0.0] * 20)
    assert learning_rate(99, 100, 0, 2.0, "constant") == 2.0
    assert learning_rate(100, 100, 100, 2.0, "cosine") == 2.0  # nothing but warm-up


def test_the_targets_memory_is_told_in_steps():
    assert target_memory_steps(0.0) == 1
    assert target_memory_steps(0.999) == pytest.approx(1000)
    assert target_memory_steps(1.0) == math.inf
