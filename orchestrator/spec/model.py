"""What a spec may say. Settings of a run are dotted keys of ``byol_core.config``; the rest is here."""

import itertools
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Value = Any
Overrides = dict[str, Value]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """Return `name` if it can be a file name, a job name and a table row.

    Raises:
        ValueError: it cannot.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise ValueError(
            f"{name!r} is no name; use letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit"
        )
    return name


Name = Annotated[str, AfterValidator(check_name)]
Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]
Axis = Annotated[list[Value], Field(min_length=1)]


class Part(BaseModel):
    """Base of all parts: frozen, strict about types and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Exclude(Part):
    """Points of the product that are left out, with the reason."""

    when: Annotated[Overrides, Field(min_length=1)]
    because: str


class Resources(Part):
    """What one run asks of SLURM."""

    gpus: int = Field(1, ge=0)
    cpus: int = Field(4, ge=1)
    mem_gb: int = Field(16, ge=1)
    timeout_min: int = Field(240, ge=1)
    partition: Name | None = None
    account: Name | None = None
    qos: Name | None = None


class Profile(Part):
    """Named changes to a spec, as for another scale. A base with a preset replaces the spec's base."""

    base: Overrides = {}
    variants: dict[Name, Overrides] = {}
    seeds: Seeds | None = None
    resources: dict[str, Value] = {}


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
    keep: Literal["encoder", "checkpoints", "nothing"] = "encoder"
    resources: Resources = Resources()
    profiles: dict[Name, Profile] = {}

    @model_validator(mode="after")
    def _holds_together(self) -> "Spec":
        if not isinstance(self.base.get("preset"), str):
            raise ValueError("base: names no preset; write e.g. base: {preset: digits-tiny}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} holds one twice")
        if not (self.variants or self.grid or self.zip):
            raise ValueError("variants: neither variants, grid nor zip is given; a sweep needs one of them")
        if len({len(values) for values in self.zip.values()}) > 1:
            lengths = ", ".join(f"{key} has {len(values)}" for key, values in self.zip.items())
            raise ValueError(f"zip: axes that move together must be equally long: {lengths}")
        self._check_reserved_keys()
        self._check_no_key_is_set_twice()
        if isinstance(self.baseline, str) and self.baseline not in self.variants:
            raise ValueError(f"baseline: {self.baseline!r} is no variant; variants: {', '.join(self.variants) or 'none'}")
        return self

    def _check_reserved_keys(self) -> None:
        rows = {f"variants.{name}": set(values) for name, values in self.variants.items()}
        for place, keys in {**rows, "grid": set(self.grid), "zip": set(self.zip), "derive": set(self.derive)}.items():
            if "preset" in keys:
                raise ValueError(f"{place}: a preset can only stand in base, of the spec or of a profile")
            if "seed" in keys:
                raise ValueError(f"{place}: seeds are no axis; list them under seeds:")
        if "seed" in self.base:
            raise ValueError("base: seeds are no setting of the base; list them under seeds:")

    def _check_no_key_is_set_twice(self) -> None:
        places = {"grid": set(self.grid), "zip": set(self.zip), "derive": set(self.derive)}
        places["variants"] = {key for values in self.variants.values() for key in values}
        for (one, keys), (other, others) in itertools.combinations(places.items(), 2):
            for key in sorted(keys & others):
                raise ValueError(f"{other}: {key!r} is set by {one} and by {other}; leave it to one of them")
