"""Says which form the files of a root have, and checks it before anything is made of them.

A file that has another form sets its own run or sweep aside; it must not stop the others. Keys that
are not named here may be there: another version of this program may know more.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from byol_core.files import DamagedFileError
from orchestrator.store.state import State

Shape = Any
"""A type; a tuple of shapes, any of which will do; key → shape; or a function that checks."""

_MAX_INT = 2**63
"""What the database can hold."""
_YEAR_9000_S = 2.2e11
_PLAIN = (str, int, float, list, type(None))


def checked(path: Path, value: Any, shape: Shape) -> Any:
    """Return what a file holds.

    Raises:
        DamagedFileError: it has another form; the text says at which key.
    """
    problem = mismatch(value, shape)
    if problem is not None:
        raise DamagedFileError(path, f"{problem[0] or 'it'} is {problem[1]}")
    return value


def mismatch(value: Any, shape: Shape) -> tuple[str, str] | None:
    """Return the first key that does not fit, and what it is; None where all does."""
    if isinstance(shape, tuple):
        problems = [mismatch(value, each) for each in shape]
        return None if None in problems else problems[0]
    if isinstance(shape, Mapping):
        return _mismatch_in_keys(value, shape)
    if isinstance(shape, type):
        return None if _is_of(value, shape) else ("", _shown(value))
    problem: tuple[str, str] | None = shape(value)
    return problem


def each(shape: Shape) -> Callable[[Any], tuple[str, str] | None]:
    """Return the shape of a list, or of a dictionary with any keys, of which all values fit."""

    def check(values: Any) -> tuple[str, str] | None:
        if not isinstance(values, list | dict):
            return "", _shown(values)
        items = values.items() if isinstance(values, dict) else enumerate(values)
        for key, value in items:
            problem = mismatch(value, shape)
            if problem is not None:
                return _below(str(key), problem)
        return None

    return check


def _mismatch_in_keys(value: Any, shape: Mapping[str, Shape]) -> tuple[str, str] | None:
    """Check a dictionary; a key that ends in "?" may be missing."""
    if not isinstance(value, dict):
        return "", _shown(value)
    for name, expected in shape.items():
        key = name.removesuffix("?")
        if key not in value:
            if name == key:
                return key, "missing"
            continue
        problem = mismatch(value[key], expected)
        if problem is not None:
            return _below(key, problem)
    return None


def _below(key: str, problem: tuple[str, str]) -> tuple[str, str]:
    return f"{key}.{problem[0]}".rstrip("."), problem[1]


def _is_of(value: Any, kind: type) -> bool:
    """Tell whether a value is of a type, and can go into the database."""
    if kind is str:
        return isinstance(value, str) and value == value.encode(errors="replace").decode()
    if kind is float:
        return isinstance(value, float) or _is_of(value, int)
    if kind is int:
        return type(value) is int and abs(value) < _MAX_INT
    return isinstance(value, kind)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


def _maybe(shape: Shape) -> Shape:
    return shape, type(None)


def _state(value: Any) -> tuple[str, str] | None:
    return None if value in set(State) else ("", _shown(value))


def _settings(value: Any) -> tuple[str, str] | None:
    """Check settings by their dotted keys: each is a plain value or a list. There are many."""
    if not isinstance(value, dict):
        return "", _shown(value)
    wrong = [key for key in value if not isinstance(value[key], _PLAIN)]
    return (wrong[0], _shown(value[wrong[0]])) if wrong else None


def _canonical(value: Any) -> tuple[str, str] | None:
    """Check the settings of a run, among them those that paces are told from."""
    named = {"method": str, "seed": int, "batch_size?": int, "epochs?": _maybe(_finite)}
    return mismatch(value, named) or _settings(value)


def _non_finite(value: Any) -> tuple[str, str] | None:
    return None if value in ("nan", "inf", "-inf") else ("", _shown(value))


def _moment(value: Any) -> tuple[str, str] | None:
    """Check a time in seconds since 1970, which a calendar must be able to name."""
    fits = _is_of(value, float) and abs(value) < _YEAR_9000_S
    return None if fits else ("", _shown(value))


def _finite(value: Any) -> tuple[str, str] | None:
    fits = _is_of(value, float) and math.isfinite(value)
    return None if fits else ("", _shown(value))


_NUMBERS = each((float, _non_finite))
_ACCURACIES = each(_maybe(_finite))
_RUN_OF_PLAN = {"run_id": str, "variant": str, "seed": int}
_VARIANT = {"name": str, "overrides": _settings, "config": _settings, "by_images?": _settings}

PLAN = {
    "label": str,
    "name": str,
    "profile": _maybe(str),
    "overrides": dict,
    "question": str,
    "baseline": (str, dict),
    "tables": each(str),
    "seeds?": each(int),
    "semantics?": int,
    "variants": each(_VARIANT),
    "runs": each(_RUN_OF_PLAN),
    "left?": each(_RUN_OF_PLAN),
    "launched_at": _moment,
    "launched_by?": str,
}
DESCRIPTION = {
    "run_id": str,
    "config": {"seed": int},
    "canonical": _canonical,
    "data": {"fingerprint": str, "split": str, "images?": _maybe(int)},
    "semantics": int,
    "protocols": each(str),
    "keep": str,
    "planned_at": _moment,
}
_PROCESS = {"host": str, "boot_id": str, "pid": int, "started": int}
CLAIM = {
    "process": _PROCESS,
    "user?": str,
    "job": {
        "executor": str,
        "job_id": _maybe(str),
        "device": str,
        "asked?": _maybe(
            {"gpus?": _maybe(float), "mem_gb?": _maybe(float), "timeout_min?": _maybe(float)}
        ),
    },
    "claimed_at": _moment,
}
LOST = {"exit_status": int, "seen_at": float}
DONE = {
    "outcome": str,
    "step?": int,
    "initial?": _NUMBERS,
    "final?": _NUMBERS,
    "wall_s?": _maybe(_finite),
    "disk_bytes?": _maybe(int),
    "trainer?": _maybe(str),
    "ended_at?": _maybe(_moment),
}
EVALUATION = {
    "protocol": str,
    "version": int,
    "online?": _ACCURACIES,
    "target?": _ACCURACIES,
}

_EVENTS: Mapping[str, Shape] = {
    "start": {"step": int, "total_steps": int, "exact": bool, "origin": dict},
    "metrics": {"step": int, "metrics": each(float), "images_per_s": float},
    "checkpoint": {"step": int},
    "end": {"state": _state, "reason": _maybe(str)},
}
_LAUNCHES: Mapping[str, Shape] = {
    "intent": {
        "run_ids": each(str),
        "at": _moment,
        "number?": _maybe(int),
        "attempts?": each(int),
    },
    "acknowledged": {"job_ids": each(str)},
    "withdrawn": {"at": _moment, "may_come_late": bool},
}


def check_event(record: Mapping[str, Any]) -> None:
    """Check a record of an event log.

    Raises:
        ValueError: it lacks what its type needs.
    """
    _check_record(record, {"type": str, "t?": _moment}, _EVENTS)


def check_launch(record: Mapping[str, Any]) -> None:
    """Check a record of an intent log, as `check_event` does."""
    _check_record(record, {"type": str, "key": str}, _LAUNCHES)


def _check_record(
    record: Mapping[str, Any], common: Mapping[str, Shape], by_type: Mapping[str, Shape]
) -> None:
    problem = mismatch(record, common) or mismatch(record, by_type.get(record.get("type", ""), {}))
    if problem is not None:
        raise ValueError(f"{problem[0]} is {problem[1]}")
