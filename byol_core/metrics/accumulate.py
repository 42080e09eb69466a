"""Adds up what steps measure, on the device; the host waits for it only where it is read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from byol_core.metrics.measure import Measured
from byol_core.metrics.spectra import READERS
from byol_core.networks.least_squares import most_precise

_KEPT_STEPS = 64
_KEPT_BYTES = 2**28
"""Matrices wait for their eigenvalues until there are so many of them."""

LEFT_OUT = "_left_out"
"""Ends the name under which the values that were not finite are counted."""


@dataclass
class _Sums:
    """Sums of scalars that are measured together, on the device, and how many went into each."""

    totals: Tensor
    counts: Tensor


@dataclass
class _Total:
    """Sum and count of one value on the host, and how many were not finite."""

    total: float = 0.0
    count: int = 0
    left_out: int = 0

    def add(self, value: float) -> None:
        """Take in a value."""
        if math.isfinite(value):
            self.total += value
            self.count += 1
        else:
            self.left_out += 1


@dataclass
class _Pending:
    """Matrices of which no eigenvalues are known yet, step by step."""

    steps: list[dict[str, Tensor]] = field(default_factory=list)
    size_bytes: int = 0

    def add(self, matrices: Mapping[str, Tensor]) -> None:
        """Keep a copy: a captured graph writes each step's into the same memory."""
        copies = {name: matrix.detach().clone() for name, matrix in matrices.items()}
        self.steps.append(copies)
        self.size_bytes += sum(copy.nbytes for copy in copies.values())

    def is_full(self) -> bool:
        """Tell whether there are too many to wait longer."""
        return len(self.steps) >= _KEPT_STEPS or self.size_bytes >= _KEPT_BYTES


class Accumulator:
    """Holds the means over steps, and the first step whose loss was not finite.

    A value that is not finite is left out of its mean, and counted. What is measured at some steps
    only has its mean over those.

    Args:
        device: where the steps are computed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sums: dict[tuple[str, ...], _Sums] = {}
        self._steps: dict[tuple[str, ...], int] = {}
        self._spectra: dict[str, _Total] = {}
        self._pending = _Pending()
        self._first_not_finite = torch.full((), -1, dtype=torch.long, device=device)

    def add(self, step: int | Tensor, loss: Tensor, measured: Measured | None = None) -> None:
        """Take in a step; nothing waits for it, but once in 64 steps with matrices.

        Args:
            step: its number.
            loss: a scalar on the device.
            measured: on the same device; None where only the loss was computed.
        """
        is_first = (self._first_not_finite < 0) & ~torch.isfinite(loss.detach())
        self._first_not_finite.copy_(torch.where(is_first, step, self._first_not_finite))

        scalars = {"loss": loss.detach()}
        if measured is not None:
            scalars.update(measured.scalars)
        self._add_scalars(scalars)

        if measured is not None and measured.matrices:
            self._pending.add(measured.matrices)
            if self._pending.is_full():
                self._read_spectra()

    def read(self) -> dict[str, float]:
        """Return the mean of each value, and under `…_left_out` how many were not finite.

        A value that never was finite has the mean NaN. Waits for the device.
        """
        self._read_spectra()
        totals = self._totals()
        means = {name: _mean(total) for name, total in totals.items()}
        for name, total in totals.items():
            if total.left_out:
                means[f"{name}{LEFT_OUT}"] = float(total.left_out)
        return means

    def first_not_finite(self) -> int | None:
        """Return the first step whose loss was not finite; None without any. Waits for the device."""
        step = int(self._first_not_finite)
        return None if step < 0 else step

    def state(self) -> dict[str, Any]:
        """Return tensors and plain values that `load_state` goes on from. Waits for the device."""
        self._read_spectra()
        return {
            "sums": [
                [list(names), sums.totals.cpu(), sums.counts.cpu(), self._steps[names]]
                for names, sums in self._sums.items()
            ],
            "spectra": {
                name: [total.total, total.count, total.left_out]
                for name, total in self._spectra.items()
            },
            "first_not_finite": int(self._first_not_finite),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._pending = _Pending()
        self._sums = {}
        self._steps = {}
        for names, totals, counts, steps in state["sums"]:
            self._sums[tuple(names)] = _Sums(totals.to(self._device), counts.to(self._device))
            self._steps[tuple(names)] = steps
        self._spectra = {name: _Total(*numbers) for name, numbers in state["spectra"].items()}
        self._first_not_finite.fill_(state["first_not_finite"])

    def _add_scalars(self, scalars: Mapping[str, Tensor]) -> None:
        """Add values to the sums of their kind, all in one go."""
        names = tuple(scalars)
        values = most_precise(torch.stack([value.float() for value in scalars.values()]))
        finite = torch.isfinite(values)
        if names not in self._sums:
            self._sums[names] = _Sums(torch.zeros_like(values), torch.zeros_like(finite).long())
            self._steps[names] = 0

        self._sums[names].totals.add_(torch.where(finite, values, 0.0))
        self._sums[names].counts.add_(finite)
        self._steps[names] += 1

    def _read_spectra(self) -> None:
        """Compute the eigenvalues that are pending, in the order of their steps."""
        for matrices in self._pending.steps:
            for name, value in read_matrices(matrices).items():
                self._spectra.setdefault(name, _Total()).add(value)
        self._pending = _Pending()

    def _totals(self) -> dict[str, _Total]:
        """Return the sums of all values on the host."""
        totals: dict[str, _Total] = {}
        for names, sums in self._sums.items():
            for name, value, count in zip(
                names, sums.totals.tolist(), sums.counts.tolist(), strict=True
            ):
                total = totals.setdefault(name, _Total())
                total.total += value
                total.count += count
                total.left_out += self._steps[names] - count
        return totals | self._spectra


def read_point(loss: Tensor, measured: Measured | None) -> dict[str, float]:
    """Return the values of one step as they are. Waits for the device."""
    scalars = {"loss": loss.detach()}
    if measured is not None:
        scalars.update(measured.scalars)
    values = torch.stack([value.float() for value in scalars.values()]).tolist()
    point: dict[str, float] = dict(zip(scalars, values, strict=True))
    if measured is not None:
        point.update(read_matrices(measured.matrices))
    return point


def read_matrices(matrices: Mapping[str, Tensor]) -> dict[str, float]:
    """Return what is read from the matrices of one step. Waits for the device."""
    values: dict[str, float] = {}
    for name, matrix in matrices.items():
        values.update((key, float(value)) for key, value in READERS[name](matrix).items())
    return values


def _mean(total: _Total) -> float:
    return total.total / total.count if total.count else math.nan
