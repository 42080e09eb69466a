"""Looks at networks that a run has kept for others to start from, without loading torch.

`byol_core.train.final_networks` writes them: a folder with a state file and a manifest, which holds
the sha256 of the state, and the settings that the networks were built from.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from byol_core.config import ConfigError, TrainConfig, canonical
from byol_core.files import DamagedFileError, read_json

STATE = "state.pt"
MANIFEST = "manifest.json"
NETWORKS = "networks"
"""The folder of a run, and what its manifest says of the networks within."""

_KEY = "init.weights"
_OF_ENCODER = ("arch", "tiny_blocks", "stem", "norm", "norm_affine")
_OF_HEAD = ("depth", "hidden", "out", "out_bias", "out_norm", "norm", "norm_affine")
_PARTS = {"encoder": _OF_ENCODER, "projector": _OF_HEAD, "predictor": ("kind", *_OF_HEAD)}
"""Part → the settings that its weights have their names and shapes from."""
_WAY_OUT = f"name the folder {NETWORKS} of a run whose spec says keep: {NETWORKS}"
_LIKE: Mapping[Any, str] = {"ln": "gn", "in": "gn", "affine": "gn", "3x3_stride2": "3x3"}
"""Norm or stem → another one, whose weights have the same names and shapes."""


def described(config: TrainConfig, channels: int) -> dict[str, Any]:
    """Return what a manifest says of the networks of a run.

    Args:
        config: of the run.
        channels: of its images.
    """
    return {"settings": _settings(config), "channels": channels}


def start_digest(config: TrainConfig) -> str | None:
    """Return the sha256 of the networks that a run starts from; None where it draws its weights.

    Raises:
        ConfigError: `init.weights` holds no networks, or damaged ones.
    """
    if config.init.weights is None:
        return None
    folder = Path(config.init.weights)
    digest = _manifest(folder)["sha256"][STATE]
    if _hash_of(folder / STATE) != digest:
        raise _refused(folder, "is damaged: its state is not the one of its manifest")
    return str(digest)


def check_content(config: TrainConfig, digest: str | None) -> None:
    """Compare the networks that a run is to start from with those that it was named after.

    Raises:
        ConfigError: they are others, damaged or missing.
    """
    if start_digest(config) != digest:
        raise _refused(
            Path(str(config.init.weights)),
            "holds other networks than when this run was planned; launch again to plan with these",
        )


def check_start(config: TrainConfig, channels: int | None) -> None:
    """Refuse networks to start from whose weights are not those of the run's architecture.

    What their settings do not tell, as of a part of the user's own, shows when they are loaded.

    Args:
        config: of the run.
        channels: of its images; None where that is not known.

    Raises:
        ConfigError: they do not fit, or are not there.
    """
    if config.init.weights is None:
        return
    folder = Path(config.init.weights)
    kept = _manifest(folder)[NETWORKS]
    ours = _settings(config)
    for part in _PARTS:
        key = _other_setting(part, ours, kept["settings"])
        if key is not None:
            theirs = json.dumps(kept["settings"].get(key))
            raise _refused(
                folder,
                f"was trained with {key} {theirs}, and this run has {json.dumps(ours[key])}: their "
                "weights differ in name or shape; use equal ones",
            )
    if channels not in (None, kept["channels"]):
        raise _refused(
            folder,
            f"was trained on images of {kept['channels']} channels, and those of this run have "
            f"{channels}",
        )


def _settings(config: TrainConfig) -> dict[str, Any]:
    """Return the settings that decide names and shapes, null where they have no effect."""
    settings = canonical(config)
    keys = [f"{part}.{leaf}" for part, leaves in _PARTS.items() for leaf in leaves]
    return {key: settings[key] for key in keys}


def _other_setting(part: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """Return the first key under which a part has weights of other names or shapes.

    A part that is not there takes none; what a part of the user's own has cannot be known.
    """
    first = f"{part}.{_PARTS[part][0]}"
    if ours[first] in (None, "none") or theirs.get(first) is None:
        return None
    our_form = _form(part, ours)
    their_form = _form(part, theirs)
    for key, value in our_form.items():
        is_known = ":" not in f"{ours[key]}{theirs.get(key)}"
        if is_known and value != their_form[key] and ours[key] != theirs.get(key):
            return key
    return None


def _form(part: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a part, with one value for those of equal names and shapes."""
    form = {f"{part}.{leaf}": settings.get(f"{part}.{leaf}") for leaf in _PARTS[part]}
    norm, affine, out_norm = (f"{part}.{leaf}" for leaf in ("norm", "norm_affine", "out_norm"))
    for key in (norm, f"{part}.stem"):
        if key in form:
            form[key] = _LIKE.get(form[key], form[key])

    # Without γ and β, only batch norm has anything to load; `affine` always has them.
    if form[norm] == "gn" and form[affine] is False:
        form[norm] = "none"
    if form[norm] in (None, "none"):
        form.update({key: None for key in (norm, affine, out_norm) if key in form})
    elif form[affine] is None:
        form[affine] = True
    return form


def _manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of kept networks.

    Raises:
        ConfigError: there is none, or it is of something else.
    """
    try:
        is_folder = folder.is_dir()
        manifest = read_json(folder / MANIFEST) if is_folder else None
    except DamagedFileError:
        raise _refused(folder, f"is damaged: {MANIFEST} cannot be read") from None
    except OSError as error:
        raise _refused(folder, f"cannot be read: {str(error.strerror).lower()}") from None
    if not is_folder:
        raise _refused(folder, f"is no folder; {_WAY_OUT}")
    if manifest is None and (folder / NETWORKS / MANIFEST).exists():
        raise _refused(folder, f"is one level too high; name {str(folder / NETWORKS)!r}")
    if manifest is None or not _is_of_networks(manifest):
        raise _refused(folder, f"holds no whole networks; {_WAY_OUT}")
    return dict(manifest)


def _is_of_networks(manifest: Any) -> bool:
    """Tell whether a manifest says what `described` gives, and the sha256 of the state."""
    try:
        return set(manifest[NETWORKS]) >= {"settings", "channels"} and STATE in manifest["sha256"]
    except (TypeError, LookupError):
        return False


def _hash_of(file: Path) -> str:
    """Return the sha256 of a file; "" where it cannot be read."""
    try:
        facts = file.stat()
        return _hash(file, facts.st_size, facts.st_mtime_ns) if file.is_file() else ""
    except OSError:
        return ""


@cache
def _hash(file: Path, size: int, mtime_ns: int) -> str:
    """Return the sha256 of a file, which is read once for all variants that start from it."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _refused(folder: Path, problem: str) -> ConfigError:
    return ConfigError(_KEY, f"{_KEY}: {str(folder)!r} {problem}")
