"""Declares what a spec may say.

Settings of a run are dotted keys of ``byol_core.config``; the rest is here.
"""

import itertools
from collections.abc import Container
from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.spec.parts import Line, Name, Overrides, Part, Value
from orchestrator.spec.resources import Resources, VariedResources, overlay

Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
Axis = Annotated[list[Value], Field(min_length=1)]


class Exclude(Part):
    """Points of the product that are left out, with the reason."""

    when: Annotated[Overrides, Field(min_length=1)]
    because: str


class PlugInFiles(Part):
    """Files that hold parts of the user's own; their paths start in the spec's folder."""

    files: list[Line] = []


class Profile(Part):
    """Named changes to a spec, as for another scale.

    A base with a preset replaces the spec's base; what it excludes is left out besides what the
    spec excludes.
    """

    base: Overrides = {}
    variants: dict[Name, Overrides] = {}
    seeds: Seeds | None = None
    exclude: list[Exclude] = []
    resources: VariedResources = VariedResources()


class Spec(Part):
    """A sweep: base config, variants and axes, seeds, and what the results are for."""

    version: Literal[1]
    name: Name
    question: str = ""
    base: Overrides
    seeds: Seeds
    baseline: Name | Overrides
    variants: dict[Name, Overrides] = {}
    grid: dict[str, Axis] = {}
    zip: dict[str, Axis] = {}
    exclude: list[Exclude] = []
    derive: dict[str, str] = {}
    tables: list[Name] = []
    keep: Literal["encoder", "networks", "checkpoints", "nothing"] = "encoder"
    resources: VariedResources = VariedResources()
    plugins: PlugInFiles = PlugInFiles()
    profiles: dict[Name, Profile] = {}

    @model_validator(mode="after")
    def _holds_together(self) -> "Spec":
        if not isinstance(self.base.get("preset"), str):
            raise ValueError("base: names no preset; write e.g. base: {preset: digits-tiny}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} holds one twice")
        if not (self.variants or self.grid or self.zip):
            raise ValueError(
                "variants: neither variants, grid nor zip is given; a sweep needs one of them"
            )
        if len({len(values) for values in self.zip.values()}) > 1:
            lengths = ", ".join(f"{key} has {len(values)}" for key, values in self.zip.items())
            raise ValueError(f"zip: axes that move together must be equally long: {lengths}")

        self._check_reserved_keys()
        self._check_no_key_is_set_twice()
        self._check_resources()
        if isinstance(self.baseline, str) and self.baseline not in self.variants:
            known = ", ".join(self.variants) or "none"
            raise ValueError(f"baseline: {self.baseline!r} is no variant; variants: {known}")
        return self

    def _check_reserved_keys(self) -> None:
        """Refuse a preset or a seed where it cannot be set."""
        places: dict[str, Container[str]] = {
            f"variants.{name}": values for name, values in self.variants.items()
        }
        places |= {"grid": self.grid, "zip": self.zip, "derive": self.derive}
        for place, keys in places.items():
            if "preset" in keys:
                raise ValueError(
                    f"{place}: a preset can only stand in base, of the spec or of a profile"
                )
            if "seed" in keys:
                raise ValueError(f"{place}: seeds are no axis; list them under seeds:")

        # The base may hold a preset, but no seed either.
        if "seed" in self.base:
            raise ValueError("base: seeds are no setting of the base; list them under seeds:")

    def _check_no_key_is_set_twice(self) -> None:
        """Refuse a key that two parts of the spec set."""
        places = {
            "grid": set(self.grid),
            "zip": set(self.zip),
            "derive": set(self.derive),
            "variants": set[str]().union(*self.variants.values()),
        }
        for place, other in itertools.combinations(places, 2):
            for key in sorted(places[place] & places[other]):
                raise ValueError(
                    f"{other}: {key!r} is set by {place} and by {other}; leave it to one of them"
                )

    def _check_resources(self) -> None:
        """Refuse values that contradict each other, for all jobs or for those of a variant."""
        common = self.resources
        layers: dict[str, Resources] = {"": common}
        for name, own in common.per_variant.items():
            layers[f"per_variant.{name}: "] = own
        for place, layer in layers.items():
            wrong = overlay(common, layer).contradiction()
            if wrong is not None:
                raise ValueError(f"resources: {place}{wrong}")
