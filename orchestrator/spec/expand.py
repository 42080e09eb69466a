"""Expands a spec into variants, each with a valid config.

They are the named rows × the product of the axes, less what is excluded.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from byol_core.config import ConfigError, TrainConfig, canonical, flatten, nearest, resolve
from byol_core.kept_networks import start_digest
from byol_core.plugins import PLUGINS_KEY, PlugIns
from orchestrator.errors import SpecError
from orchestrator.spec.derive import FormulaError, evaluate
from orchestrator.spec.duplicates import Place, check_duplicates
from orchestrator.spec.load import Sweep
from orchestrator.spec.model import Spec
from orchestrator.spec.parts import Overrides
from orchestrator.spec.plugins import check_named, read_plugins
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
        images: how many training images its data set has; None before these were looked at.
        plugins: the declared files, where its settings name a part of the user's own; else None.
        weights: sha256 of the networks that it starts from; None where its weights are drawn.
    """

    name: str
    row: str | None
    overrides: Overrides
    config: TrainConfig
    images: int | None = None
    plugins: PlugIns | None = None
    weights: str | None = None

    @cached_property
    def _settings(self) -> dict[str, Any]:
        """The canonical settings at seed 0, computed once for all seeds."""
        settings = canonical(self.config, self.images, self.weights)
        if self.plugins is not None:
            settings[PLUGINS_KEY] = self.plugins.digest
        return settings

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

    # Counted before anything is made: the product of some short axes may be huge.
    points = math.prod(len(values) for values in spec.grid.values()) * len(_zipped(spec))
    count = max(1, len(spec.variants)) * points * len(spec.seeds)
    if count > MAX_RUNS:
        raise SpecError(
            f"{sweep.document.file}: {count:,} runs are more than {MAX_RUNS:,}; split the sweep"
        )

    _check_excludes(sweep)
    plugins = read_plugins(sweep)
    placed = [(place, _variant(sweep, row, point, plugins)) for place, row, point in _points(spec)]
    variants = [variant for _, variant in placed]
    if not variants:
        line = sweep.document.where(("exclude",))
        raise SpecError(f"{line}: every variant is excluded; nothing is left to run")
    check_duplicates(sweep, placed)
    _check_baseline(sweep, variants)
    _check_varied(sweep, variants)
    return variants


def resources_of(sweep: Sweep, variant: Variant, defaults: Resources) -> Resources:
    """Return what the jobs of a variant ask for.

    Args:
        sweep: the sweep whose spec says so.
        variant: one of its variants.
        defaults: the cluster's, which lie under the spec's.

    Raises:
        SpecError: the cluster's and the spec's values contradict each other.
    """
    common = sweep.spec.resources
    layers = [defaults, common]

    # What is said of the variant counts instead of what is said of its row, not on top of it.
    for name in (variant.name, variant.row):
        if name in common.per_variant:
            layers.append(common.per_variant[name])
            break

    resources = overlay(*layers)
    wrong = resources.contradiction()
    if wrong is not None:
        line = sweep.document.where(("resources",))
        raise SpecError(f"{line}: resources, with the cluster's defaults: {wrong}")
    return resources


def _check_baseline(sweep: Sweep, variants: Sequence[Variant]) -> None:
    """Refuse a baseline that no variant is: there would be nothing to compare the others with."""
    spec = sweep.spec
    if any(_is_baseline(sweep, variant.row, variant.overrides) for variant in variants):
        return

    # It was left out, or was never there.
    everywhere = ((row, _overrides(spec, row, point)) for row, point in _all_points(spec))
    if any(_is_baseline(sweep, row, overrides) for row, overrides in everywhere):
        line = sweep.document.where(("exclude",))
        raise SpecError(
            f"{line}: exclude: leaves nothing of the baseline {spec.baseline!r}, which the other "
            "variants are compared with; narrow the rule, or name another baseline"
        )
    line = sweep.document.where(("baseline",))
    raise SpecError(
        f"{line}: baseline: no variant has {spec.baseline!r}; "
        "name one by what it sets, with a value of each axis that it needs"
    )


def _is_baseline(sweep: Sweep, row: str | None, overrides: Overrides) -> bool:
    """Tell whether a variant is the baseline, at any point of the axes."""
    baseline = sweep.spec.baseline
    if isinstance(baseline, str):
        return row == baseline
    settings = {
        **_settings_of_preset(sweep.spec.base["preset"]),
        **sweep.spec.base,
        **sweep.overrides,
        **overrides,
    }
    return all(settings.get(key) == value for key, value in baseline.items())


def _check_varied(sweep: Sweep, variants: Sequence[Variant]) -> None:
    """Refuse resources for a variant that is none."""
    known = [*sweep.spec.variants, *(variant.name for variant in variants)]
    for name in sweep.spec.resources.per_variant:
        if name not in known:
            line = sweep.document.where(("resources", "per_variant", name))
            raise SpecError(
                f"{line}: resources: per_variant: no variant is called {name!r}; "
                f"{nearest(name, known)}"
            )


def _check_excludes(sweep: Sweep) -> None:
    """Refuse a rule that matches nothing: a misspelt key would leave in what was to be left out."""
    spec = sweep.spec
    points = [_overrides(spec, row, point) for row, point in _all_points(spec)]
    swept = sorted(set[str]().union(*points))
    for number, rule in enumerate(spec.exclude):
        line = sweep.document.where((*_place_of_rule(sweep, number), "when"))

        # A key that nothing sets is the likelier mistake, so it is told first.
        for key in rule.when:
            if key not in swept:
                raise SpecError(
                    f"{line}: exclude: no variant or axis sets {key!r}; {nearest(key, swept)}"
                )
        if not any(_matches(rule.when, point) for point in points):
            raise SpecError(
                f"{line}: exclude: no variant matches {rule.when}; correct or remove the rule"
            )


def _place_of_rule(sweep: Sweep, number: int) -> tuple[str | int, ...]:
    """Return where the rule of this number was written: those of the profile are the last."""
    own = len(sweep.document.values.get("exclude", []))
    if number < own:
        return "exclude", number
    return "profiles", sweep.profile or "", "exclude", number - own


def _points(spec: Spec) -> Iterator[tuple[Place, str | None, Overrides]]:
    """Yield each row with each point of the axes and its place, without what is excluded."""
    lengths = [len(spec.variants) or 1, *map(len, spec.grid.values()), len(_zipped(spec))]
    places = itertools.product(*map(range, lengths))
    for place, (row, point) in zip(places, _all_points(spec), strict=True):
        overrides = _overrides(spec, row, point)
        if not any(_matches(rule.when, overrides) for rule in spec.exclude):
            yield place, row, point


def _all_points(spec: Spec) -> Iterator[tuple[str | None, Overrides]]:
    """Yield each row with each point of the axes; the row is None in a spec without variants."""
    rows: list[str | None] = [*spec.variants] or [None]
    for row in rows:
        for *values, together in itertools.product(*spec.grid.values(), _zipped(spec)):
            yield row, {**dict(zip(spec.grid, values, strict=True)), **together}


def _zipped(spec: Spec) -> list[Overrides]:
    """Return the points of the axes that move together; one empty point where there are none."""
    if not spec.zip:
        return [{}]
    points = zip(*spec.zip.values(), strict=True)
    return [dict(zip(spec.zip, values, strict=True)) for values in points]


def _overrides(spec: Spec, row: str | None, point: Overrides) -> Overrides:
    """Return what a row and a point of the axes set; an axis counts more."""
    if row is None:
        return point
    return {**spec.variants[row], **point}


def _matches(when: Mapping[str, Any], overrides: Overrides) -> bool:
    return all(key in overrides and overrides[key] == value for key, value in when.items())


def _variant(sweep: Sweep, row: str | None, point: Overrides, plugins: PlugIns | None) -> Variant:
    spec = sweep.spec
    words = [f"{key}={value}" for key, value in point.items()]
    if row is not None:
        words.insert(0, row)
    name = ",".join(words)

    # The order is important: what comes later counts.
    base = {key: value for key, value in spec.base.items() if key != "preset"}
    overrides = _overrides(spec, row, point)
    settings = {**base, **sweep.overrides, **overrides}
    try:
        derived = _derived(sweep, settings)
        config = resolve(spec.base["preset"], {**settings, **derived})
        weights = start_digest(config)
        variant = Variant(name, row, {**overrides, **derived}, config, weights=weights)
        if check_named(variant.canonical(), plugins):
            variant = replace(variant, plugins=plugins)
    except ConfigError as error:
        raise blame(sweep, row, error.key, name, error) from None
    return variant


def _derived(sweep: Sweep, settings: Overrides) -> Overrides:
    """Compute the derived settings from the others, defaults included."""
    spec = sweep.spec
    if not spec.derive:
        return {}

    # A formula reads no derived setting, so the order of the formulas does not matter. What is not
    # derived yet need not fit the rest.
    plain = {**_settings_of_preset(spec.base["preset"]), **settings}
    values = {key: value for key, value in plain.items() if key not in spec.derive}
    derived: Overrides = {}
    for key, formula in spec.derive.items():
        try:
            derived[key] = evaluate(formula, values)
        except FormulaError as error:
            line = sweep.document.where(("derive", key))
            raise SpecError(f"{line}: derive: {key}: {error}") from None
    return derived


@cache
def _settings_of_preset(preset: str) -> Overrides:
    """Return every setting of a preset by its dotted key, defaults included."""
    return flatten(resolve(preset, {}).model_dump())


def blame(sweep: Sweep, row: str | None, key: str, name: str, error: Exception) -> SpecError:
    """Return the error of a variant that cannot be trained, with the line that asks for it.

    Args:
        sweep: whose variant it is.
        row: the variant's own row in the spec; None in a spec without variants.
        key: the dotted key at fault.
        name: of the variant.
        error: what is wrong.
    """
    return SpecError(f"{_written_at(sweep, row, key)}: variant {name!r}: {error}")


def _written_at(sweep: Sweep, row: str | None, key: str) -> str:
    """Return where the faulty key was written: --set, the variant, an axis or the base."""
    if key in sweep.overrides:
        return "--set"
    profile = ("profiles", sweep.profile or "")
    paths = (
        ("variants", row or "", key),
        ("grid", key),
        ("zip", key),
        ("derive", key),
        ("base", key),
        ("base", "preset"),  # which sets what nothing else does
    )
    for path in paths:
        # What a profile says lies over what the spec says in the same place.
        for written in ((*profile, *path), path):
            if written in sweep.document.lines:
                return sweep.document.where(written)
    return str(sweep.document.file)
