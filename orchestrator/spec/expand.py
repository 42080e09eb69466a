"""Spec → variants: named rows × the product of the axes, less what is excluded, each a valid
config.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from byol_core.config import ConfigError, TrainConfig, canonical, flatten, nearest, resolve
from orchestrator.errors import SpecError
from orchestrator.spec.derive import FormulaError, evaluate
from orchestrator.spec.load import Sweep
from orchestrator.spec.model import Spec
from orchestrator.spec.parts import Overrides
from orchestrator.spec.resources import Resources, overlay

MAX_RUNS = 20_000


@dataclass(frozen=True)
class Variant:
    """One resolved setting without the seed.

    Attributes:
        name: unique in the sweep, e.g. `byol` or `byol,target.tau_base=0.9`.
        row: the one under `variants:` that it belongs to, None in a spec without.
        overrides: what makes it differ from the base.
        config: with seed 0.
    """

    name: str
    row: str | None
    overrides: Overrides
    config: TrainConfig

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return canonical(self.config)

    def canonical(self, seed: int = 0) -> dict[str, Any]:
        """Return the canonical settings of one run."""
        return {**self._settings, "seed": seed}

    def at_seed(self, seed: int) -> TrainConfig:
        """Return the config of one run."""
        return self.config.model_copy(update={"seed": seed})


def expand(sweep: Sweep) -> list[Variant]:
    """Return the variants of a sweep in the order of its spec.

    Raises:
        SpecError: too many runs, or a variant whose config is not valid.
    """
    spec = sweep.spec
    axes = math.prod(len(values) for values in spec.grid.values()) * len(_zipped(spec))
    count = max(1, len(spec.variants)) * axes * len(spec.seeds)
    if count > MAX_RUNS:
        raise SpecError(
            f"{sweep.document.file}: {count:,} runs are more than {MAX_RUNS:,}; split the sweep"
        )
    _check_excludes(sweep)
    variants = [_variant(sweep, row, point) for row, point in _points(spec)]
    if not variants:
        raise SpecError(
            f"{sweep.document.where(('exclude',))}: every variant is excluded; nothing is left to run"
        )
    _check_varied(sweep, variants)
    return variants


def resources_of(sweep: Sweep, variant: Variant, defaults: Resources) -> Resources:
    """Return what the jobs of a variant ask for.

    Args:
        sweep: whose spec says so.
        variant: of it.
        defaults: the cluster's, which lie under the spec's.

    Raises:
        SpecError: the cluster's and the spec's values contradict each other.
    """
    common = sweep.spec.resources
    own = [
        common.per_variant[name]
        for name in (variant.row, variant.name)
        if name in common.per_variant
    ]
    asked = overlay(defaults, common, *own[-1:])
    wrong = asked.contradiction()
    if wrong is not None:
        raise SpecError(
            f"{sweep.document.where(('resources',))}: resources, with the cluster's defaults: {wrong}"
        )
    return asked


def _check_varied(sweep: Sweep, variants: Sequence[Variant]) -> None:
    """Refuse resources for a variant that is none."""
    known = [*sweep.spec.variants, *(variant.name for variant in variants)]
    for name in sweep.spec.resources.per_variant:
        if name not in known:
            where = sweep.document.where(("resources", "per_variant", name))
            raise SpecError(
                f"{where}: resources: per_variant: no variant is called {name!r}; {nearest(name, known)}"
            )


def _check_excludes(sweep: Sweep) -> None:
    """Refuse a rule that matches nothing: a misspelt key would leave in what was to be left out."""
    points = [
        {**(sweep.spec.variants[row] if row is not None else {}), **point}
        for row, point in _all_points(sweep.spec)
    ]
    swept = sorted({key for point in points for key in point})
    for i, rule in enumerate(sweep.spec.exclude):
        where = sweep.document.where(("exclude", i, "when"))
        for key in rule.when:
            if key not in swept:
                raise SpecError(
                    f"{where}: exclude: no variant or axis sets {key!r}; {nearest(key, swept)}"
                )
        if not any(_matches(rule.when, point) for point in points):
            raise SpecError(
                f"{where}: exclude: no variant matches {rule.when}; correct or remove the rule"
            )


def _points(spec: Spec) -> Iterator[tuple[str | None, Overrides]]:
    for row, point in _all_points(spec):
        overrides = {**(spec.variants[row] if row is not None else {}), **point}
        if not any(_matches(rule.when, overrides) for rule in spec.exclude):
            yield row, point


def _all_points(spec: Spec) -> Iterator[tuple[str | None, Overrides]]:
    rows: list[str | None] = [*spec.variants] or [None]
    for row in rows:
        for *values, together in itertools.product(*spec.grid.values(), _zipped(spec)):
            yield row, {**dict(zip(spec.grid, values, strict=True)), **together}


def _zipped(spec: Spec) -> list[Overrides]:
    """Return the points of the axes that move together; one empty point where there are none."""
    return [
        dict(zip(spec.zip, values, strict=True)) for values in zip(*spec.zip.values(), strict=True)
    ] or [{}]


def _matches(when: Mapping[str, Any], overrides: Overrides) -> bool:
    return all(key in overrides and overrides[key] == value for key, value in when.items())


def _variant(sweep: Sweep, row: str | None, point: Overrides) -> Variant:
    spec = sweep.spec
    overrides = {**(spec.variants[row] if row is not None else {}), **point}
    name = ",".join(
        [*([row] if row is not None else []), *(f"{key}={value}" for key, value in point.items())]
    )
    base = {key: value for key, value in spec.base.items() if key != "preset"}
    settings = {**base, **sweep.overrides, **overrides}
    try:
        derived = _derived(sweep, settings)
        return Variant(
            name,
            row,
            {**overrides, **derived},
            resolve(spec.base["preset"], {**settings, **derived}),
        )
    except ConfigError as error:
        raise SpecError(f"{_blame(sweep, row, error.key)}: variant {name!r}: {error}") from None


def _derived(sweep: Sweep, settings: Overrides) -> Overrides:
    """Compute the derived settings from the others, defaults included."""
    spec = sweep.spec
    if not spec.derive:
        return {}
    plain = flatten(resolve(spec.base["preset"], settings).model_dump())
    values = {key: value for key, value in plain.items() if key not in spec.derive}
    derived: Overrides = {}
    for key, formula in spec.derive.items():
        try:
            derived[key] = evaluate(formula, values)
        except FormulaError as error:
            raise SpecError(
                f"{sweep.document.where(('derive', key))}: derive: {key}: {error}"
            ) from None
    return derived


def _blame(sweep: Sweep, row: str | None, key: str) -> str:
    """Return where the faulty key was written: --set, the variant, an axis or the base."""
    if key in sweep.overrides:
        return "--set"
    profile = ("profiles", sweep.profile) if sweep.profile else ()
    for path in [
        (*profile, "variants", row or "", key),
        ("variants", row or "", key),
        ("grid", key),
        ("zip", key),
        ("derive", key),
        (*profile, "base", key),
        ("base", key),
    ]:
        if path in sweep.document.lines:
            return sweep.document.where(path)
    return str(sweep.document.file)
