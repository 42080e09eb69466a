"""File + profile + --set → one `Sweep`, with errors that name file and line."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from byol_core.config import nearest
from orchestrator.errors import SpecError, UsageError
from orchestrator.spec import strict_yaml
from orchestrator.spec.model import Overrides, Profile, Resources, Spec
from orchestrator.spec.strict_yaml import Document


@dataclass(frozen=True)
class Sweep:
    """A launched spec: name, profile and overrides together.

    Attributes:
        label: its name on disk and screen, e.g. `norm_ablation@quick` or `norm_ablation@quick+3f2a91`.
        document: the file, for errors.
        spec: with the profile applied.
        profile: None for none.
        overrides: of --set.
    """

    label: str
    document: Document
    spec: Spec
    profile: str | None
    overrides: Overrides


def load_sweep(file: Path, profile: str | None = None, assignments: Mapping[str, Any] | None = None) -> Sweep:
    """Read a spec and apply a profile and overrides.

    Raises:
        SpecError: the file is no valid spec.
        UsageError: the profile does not exist, or an override sets what the sweep itself varies.
    """
    document = strict_yaml.read(file)
    spec = _validate(document)
    if profile is not None:
        if profile not in spec.profiles:
            hint = nearest(profile, spec.profiles) if spec.profiles else "this spec has none; leave --profile out"
            raise UsageError(f"{file}: profile {profile!r} does not exist; {hint}")
        spec = _apply(document, spec, profile, spec.profiles[profile])
    overrides = dict(assignments or {})
    _refuse_axis_overrides(spec, overrides)
    return Sweep(_label(spec.name, profile, overrides), document, spec, profile, overrides)


def _validate(document: Document) -> Spec:
    try:
        return Spec.model_validate(document.values)
    except ValidationError as error:
        raise SpecError(_explain(document, error)) from None


def _explain(document: Document, error: ValidationError) -> str:
    # A misspelt key is both unknown and missing; the first says more.
    first = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    path = tuple(part for part in first["loc"] if part not in ("str", "dict[str,any]", "[key]"))
    text = first["msg"].removeprefix("Value error, ")
    dotted = ".".join(str(part) for part in path)
    if first["type"] == "extra_forbidden":
        fields = _fields_at(path[:-1])
        return f"{document.where(path)}: key {dotted!r} does not exist; {nearest(str(path[-1]), fields)}"
    if first["type"] == "missing":
        needed = "; a spec needs version, name, base, seeds, baseline" if len(path) == 1 else ""
        return f"{document.where(path[:-1])}: key {dotted!r} is missing{needed}"
    if first["type"] == "too_short":
        return f"{document.where(path)}: {dotted}: is empty; it must hold at least one value"
    if first["type"] == "value_error":
        at = path or (text.split(":")[0],)
        return f"{document.where(at)}: {dotted + ': ' if dotted else ''}{text}"
    expected = text.removeprefix("Input should be ")
    shown = "null" if first["input"] is None else repr(first["input"])
    return f"{document.where(path)}: {dotted}: {shown} is not allowed; it must be {expected}"


def _fields_at(path: tuple[str | int, ...]) -> list[str]:
    if path[:1] == ("profiles",):
        return list(Profile.model_fields)
    if path[:1] == ("resources",):
        return list(Resources.model_fields)
    return ["when", "because"] if path[:1] == ("exclude",) else list(Spec.model_fields)


def _apply(document: Document, spec: Spec, name: str, profile: Profile) -> Spec:
    unknown = [variant for variant in profile.variants if variant not in spec.variants]
    if unknown:
        where = document.where(("profiles", name, "variants", unknown[0]))
        raise SpecError(f"{where}: variant {unknown[0]!r} does not exist; {nearest(unknown[0], spec.variants)}")
    changed = {
        **document.values,
        "base": profile.base if "preset" in profile.base else {**spec.base, **profile.base},
        "variants": {key: {**values, **profile.variants.get(key, {})} for key, values in spec.variants.items()},
        "seeds": profile.seeds or spec.seeds,
        "resources": {**spec.resources.model_dump(), **profile.resources},
    }
    try:
        return Spec.model_validate(changed)
    except ValidationError as error:
        raise SpecError(f"{document.where(('profiles', name))}: in profile {name!r}: {_explain(document, error)}") from None


def _refuse_axis_overrides(spec: Spec, overrides: Overrides) -> None:
    swept = {key for values in spec.variants.values() for key in values} | set(spec.grid) | set(spec.zip)
    for key in overrides:
        if key in spec.derive:
            raise UsageError(f"--set {key}: this sweep derives {key!r} from {spec.derive[key]!r}; set what it is derived from")
        if key in swept:
            raise UsageError(f"--set {key}: this sweep varies {key!r} itself; change it in the spec or leave it out")
        if key == "preset":
            raise UsageError("--set preset: a preset belongs to base, of the spec or of a profile; use --profile")
        if key == "seed":
            raise UsageError("--set seed: seeds belong to the sweep; use --seeds 0,1,2")


def _label(name: str, profile: str | None, overrides: Overrides) -> str:
    label = name if profile is None else f"{name}@{profile}"
    if not overrides:
        return label
    digest = hashlib.sha256(json.dumps(overrides, sort_keys=True).encode()).hexdigest()
    return f"{label}+{digest[:6]}"
