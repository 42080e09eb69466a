"""Loads a `Sweep` from a file, a profile and --set, with errors that name file and line."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from byol_core.config import PRESETS, nearest
from byol_core.config.resolve import keys
from orchestrator.errors import SpecError, UsageError
from orchestrator.spec import strict_yaml
from orchestrator.spec.explain import explain
from orchestrator.spec.model import Profile, Spec
from orchestrator.spec.parts import Overrides
from orchestrator.spec.strict_yaml import Document


@dataclass(frozen=True)
class Sweep:
    """A launched spec: name, profile and overrides together.

    Attributes:
        label: its name on disk and screen, e.g. `norm_ablation@quick` or
            `norm_ablation@quick+3f2a91`.
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


def load_sweep(
    file: Path, profile: str | None = None, assignments: Mapping[str, Any] | None = None
) -> Sweep:
    """Read a spec and apply a profile and overrides.

    Raises:
        SpecError: the file is no valid spec.
        UsageError: the profile does not exist, or an override sets what the sweep itself varies.
    """
    document = strict_yaml.read(file)
    spec = _validate(document)
    _check_profiles(document, spec)
    if profile is not None:
        spec = _apply(document, spec, profile, _profile(document, spec, profile))

    overrides = dict(assignments or {})
    _refuse_axis_overrides(spec, overrides)
    return Sweep(_label(spec.name, profile, overrides), document, spec, profile, overrides)


def _validate(document: Document) -> Spec:
    try:
        return Spec.model_validate(document.values)
    except ValidationError as error:
        raise SpecError(explain(document, Spec, error)) from None


def _profile(document: Document, spec: Spec, name: str) -> Profile:
    """Return a spec's profile of this name."""
    if name in spec.profiles:
        return spec.profiles[name]
    hint = "this spec has none; leave --profile out"
    if spec.profiles:
        hint = nearest(name, spec.profiles)
    raise UsageError(f"{document.file}: profile {name!r} does not exist; {hint}")


def _check_profiles(document: Document, spec: Spec) -> None:
    """Refuse a preset, a variant or a key that does not exist, in whichever profile is asked for."""
    for name, profile in spec.profiles.items():
        place = ("profiles", name)
        preset = profile.base.get("preset")
        if preset is not None and str(preset) not in PRESETS:
            line = document.where((*place, "base", "preset"))
            raise SpecError(
                f"{line}: in profile {name!r}: preset {preset!r} does not exist; "
                f"{nearest(str(preset), PRESETS)}"
            )
        for variant in profile.variants:
            if variant not in spec.variants:
                line = document.where((*place, "variants", variant))
                raise SpecError(
                    f"{line}: variant {variant!r} does not exist; {nearest(variant, spec.variants)}"
                )

        # Their values are checked where the profile is used.
        _check_keys(document, (*place, "base"), profile.base)
        for variant, settings in profile.variants.items():
            _check_keys(document, (*place, "variants", variant), settings)


def _check_keys(document: Document, place: tuple[str, ...], settings: Overrides) -> None:
    for key in settings:
        if key not in (*keys(), "preset", "seed"):
            line = document.where((*place, key))
            raise SpecError(f"{line}: key {key!r} does not exist; {nearest(key, keys())}")


def _apply(document: Document, spec: Spec, name: str, profile: Profile) -> Spec:
    """Return the spec with a profile laid over it."""
    # A profile's preset is another base; without one, its keys are laid over the spec's base.
    base = profile.base
    if "preset" not in profile.base:
        base = {**spec.base, **profile.base}
    variants = {
        key: {**values, **profile.variants.get(key, {})} for key, values in spec.variants.items()
    }
    changed = {
        **document.values,
        "base": base,
        "variants": variants,
        "seeds": profile.seeds or spec.seeds,
        "exclude": [rule.model_dump() for rule in (*spec.exclude, *profile.exclude)],
        "resources": {
            **spec.resources.model_dump(exclude_unset=True),
            **profile.resources.model_dump(exclude_unset=True),
        },
    }
    try:
        return Spec.model_validate(changed)
    except ValidationError as error:
        line = document.where(("profiles", name))
        text = explain(document, Spec, error)
        raise SpecError(f"{line}: in profile {name!r}: {text}") from None


def _refuse_axis_overrides(spec: Spec, overrides: Overrides) -> None:
    """Refuse --set of a key that the sweep itself varies, derives or keeps elsewhere."""
    swept = set(spec.grid).union(spec.zip, *spec.variants.values())
    for key in overrides:
        if key in spec.derive:
            raise UsageError(
                f"--set {key}: this sweep derives {key!r} from {spec.derive[key]!r}; "
                "set what it is derived from"
            )
        if key in swept:
            raise UsageError(
                f"--set {key}: this sweep varies {key!r} itself; "
                "change it in the spec or leave it out"
            )
        if key == "preset":
            raise UsageError(
                "--set preset: a preset belongs to base, of the spec or of a profile; use --profile"
            )
        if key == "seed":
            raise UsageError("--set seed: seeds belong to the sweep; use --seeds 0,1,2")


def _label(name: str, profile: str | None, overrides: Overrides) -> str:
    """Return NAME@PROFILE+DIGEST, as short as the sweep allows."""
    label = name
    if profile is not None:
        label = f"{name}@{profile}"
    if not overrides:
        return label
    digest = hashlib.sha256(json.dumps(overrides, sort_keys=True).encode()).hexdigest()
    return f"{label}+{digest[:6]}"
