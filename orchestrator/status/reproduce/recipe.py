"""Writes down the commands that make a run again, for `sweep show RUN --reproduce`.

They come from what the last attempt recorded when it started. What it did not record is named as
not known; nothing is filled in for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from byol_core.config import (
    PRESETS,
    SEMANTICS,
    ConfigError,
    DataIdentity,
    canonical,
    flatten,
    resolve,
    run_id_of,
)
from byol_core.config.old_settings import new_name
from byol_core.datasets.published import PUBLISHED
from byol_core.plugins import PLUGINS_KEY
from orchestrator.provenance.redact import REDACTED
from orchestrator.status.provenance import start_event
from orchestrator.status.reproduce.script import TRAIN, Step, quoted
from orchestrator.store.root import PREFIX, Root, RunFolder
from orchestrator.store.settings import value_text

_PROGRAM = "byol-sweeps"
_NUMERIC_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
)
"""Of the recorded variables, those that change numbers."""
_LACKS = re.compile(rb"^#.*(?:\[cut here|\[redacted\]|: could not be read)", re.MULTILINE)
"""What a kept diff says, in a comment, of a part that it does not hold."""


def recipe(run: RunFolder) -> list[Step]:
    """Return the steps that make a run again: code, environment, images, training."""
    attempt = run.last_attempt()
    start = start_event(attempt) if attempt is not None else {}
    origin = start.get("origin") or {}
    root = Root(run.path.parents[1])
    return [
        _code(run, root, origin),
        _environment(root, origin),
        _images(run, origin),
        _training(run, start, _given_path(run, origin)),
    ]


def as_json(run: RunFolder, steps: list[Step]) -> dict[str, Any]:
    """Return the steps as `--json` prints them."""
    return {"run_id": run.run_id, "steps": [asdict(step) for step in steps]}


def closest_preset(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the preset that needs the fewest overrides to give all of a flat config, and these."""
    overrides = {}
    for name in PRESETS:
        preset = flatten(resolve(name, {}).model_dump(mode="json"))
        overrides[name] = {key: value for key, value in config.items() if value != preset[key]}
    closest = min(overrides, key=lambda name: len(overrides[name]))
    return closest, overrides[closest]


def from_first_defaults(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the preset that changes nothing, and what an older config changes, in its own words.

    That preset has meant the same ever since; others have keys today that no older trainer knows.
    """
    preset = "digits-tiny"
    defaults = flatten(resolve(preset, {}).model_dump(mode="json"))
    missing = object()
    return preset, {
        key: value for key, value in config.items() if defaults.get(new_name(key), missing) != value
    }


def _code(run: RunFolder, root: Root, origin: Mapping[str, Any]) -> Step:
    """Return how to get the code: the commit with its kept diff, else the copy that ran."""
    step = Step("the code")
    commit = origin.get("commit")
    is_whole = commit is not None
    if commit is None:
        step.remarks.append("commit: not known")
    else:
        step.commands = _checkout(origin, commit)
        if origin.get("remote") is None:
            step.remarks.append("where it is cloned from: not known; work in a checkout of it")

    # What differed from the commit.
    code = str(origin.get("code", ""))
    if commit is not None and origin.get("dirty") is None:
        step.remarks.append("whether the tree had uncommitted changes: not known")
        is_whole = False
    elif commit is not None and origin["dirty"]:
        is_whole = _apply_diff(step, root.code_facts(code).with_suffix(".diff"))

    # The copy that the run imported needs no git.
    copy = root.path / "code" / code if code else None
    if copy is None or not copy.is_dir():
        step.remarks.append("the copy of the code that ran: not kept")
    elif is_whole:
        step.remarks.append(f"without git, the very code that ran: PYTHONPATH={quoted(copy)}")
    else:
        step.remarks.append("below, the very code that ran, instead of a commit")
        step.commands = [f"export PYTHONPATH={quoted(copy)}"]
    _plug_ins(step, run)
    return step


def _plug_ins(step: Step, run: RunFolder) -> None:
    """Add where the run's plug-ins are imported from, where it has any."""
    digest = run.read_description()["canonical"].get(PLUGINS_KEY)
    if digest is None:
        return
    folder = Root(run.path.parents[1]).plugins(digest)
    if not folder.is_dir():
        step.remarks.append(f"the copy of its plug-ins, {folder}: not kept")
        return
    step.remarks.append("its plug-ins, as they ran, stand first on the path")
    step.commands.append(f'export PYTHONPATH={quoted(folder)}"${{PYTHONPATH:+:$PYTHONPATH}}"')


def _checkout(origin: Mapping[str, Any], commit: str) -> list[str]:
    commands = [f"git checkout {quoted(commit)}"]
    if origin.get("remote") is not None:
        commands = [
            f"git clone {quoted(origin['remote'])} {_PROGRAM}",
            f"cd {_PROGRAM}",
            *commands,
        ]
    return commands


def _apply_diff(step: Step, diff: Path) -> bool:
    """Add how the uncommitted changes come back; tell whether all of them do."""
    if not diff.exists():
        step.remarks.append("the tree had uncommitted changes; their diff was not kept")
        return False
    step.remarks.append("the tree had uncommitted changes; that diff holds them and the new files")
    step.commands.append(f"git apply {quoted(diff)}")
    if _LACKS.search(diff.read_bytes()):
        step.remarks.append("the diff lacks what was too long or held a secret; it says so itself")
        return False
    return True


def _environment(root: Root, origin: Mapping[str, Any]) -> Step:
    """Return how to get Python, the packages and the variables that change numbers."""
    step = Step("the environment")
    versions: dict[str, str] = origin.get("versions") or {}
    python = versions.get("python")
    if python is None:
        step.remarks.append("Python and versions of packages: not known")
    else:
        step.remarks.append(f"Python {python}")
        step.commands = [
            f"python{'.'.join(python.split('.')[:2])} -m venv again",
            ". again/bin/activate",
            *_installation(step, root, origin.get("packages"), versions),
        ]
    recorded = origin.get("environment") or {}
    step.commands += [
        f"export {name}={quoted(recorded[name])}" for name in _NUMERIC_VARIABLES if name in recorded
    ]
    return step


def _installation(
    step: Step, root: Root, packages: str | None, versions: Mapping[str, str]
) -> list[str]:
    """Return the calls of pip; a wheel for one kind of GPU comes from PyTorch's own index."""
    index = ""
    kind = versions.get("torch", "").partition("+")[2]
    if kind:
        index = f" --extra-index-url https://download.pytorch.org/whl/{quoted(kind)}"

    # The whole list, where it was kept; the program itself comes from the code above.
    listed = root.packages(packages) if packages else None
    if listed is not None and listed.exists():
        return [
            f"grep -v '^{_PROGRAM}==' {quoted(listed)} > again/packages.txt",
            f"pip install -r again/packages.txt{index}",
        ]
    step.remarks.append("packages beyond these: not known")
    pins = [
        quoted(f"{name}=={version}")
        for name, version in versions.items()
        if name not in ("python", _PROGRAM) and version != "not installed"
    ]
    return [f"pip install {' '.join(pins)}{index}"] if pins else []


def _given_path(run: RunFolder, origin: Mapping[str, Any]) -> str | None:
    """Return dataset.path from the root on; as it was given where its folder is not known."""
    path: str | None = run.read_description()["config"]["dataset"].get("path")
    folder = origin.get("folder")
    if path is None or path.startswith("~") or folder is None:
        return path
    return str(Path(folder) / path)


def _images(run: RunFolder, origin: Mapping[str, Any]) -> Step:
    """Return which images the run needs."""
    description = run.read_description()
    dataset = description["config"]["dataset"]
    step = Step("the images")
    step.remarks.append(f"{dataset['name']}, content sha256 {description['data']['fingerprint']}")
    if dataset["name"] in PUBLISHED and not dataset.get("path"):
        step.commands.append(f"python -m orchestrator.cli data fetch {dataset['name']}")
    elif dataset.get("path"):
        step.remarks.append("where they lie elsewhere now: change dataset.path below")
        path = str(_given_path(run, origin))
        if not path.startswith(("/", "~")):
            step.remarks.append(
                f"the folder that dataset.path {quoted(path)} starts from: not known"
            )
    return step


def _training(run: RunFolder, start: Mapping[str, Any], path: str | None) -> Step:
    """Return the call that trains the run, proved to give its id."""
    step = Step("the run")
    description = run.read_description()
    config = flatten(description["config"])
    if description["semantics"] != SEMANTICS:
        preset, overrides = from_first_defaults(config)
        step.remarks.append(
            f"the run is of SEMANTICS {description['semantics']}: the code above makes it again; this "
            f"version trains under SEMANTICS {SEMANTICS}, and makes another run of these settings"
        )
    else:
        preset, overrides = closest_preset(config)
        if _id_of(preset, overrides, description) != run.run_id:
            step.remarks.append(
                "this version of the program reads these settings otherwise, or refuses them: "
                "the code above gives the run its id"
            )

    # A path is no part of the id, and is to mean the same in any folder.
    if "dataset.path" in overrides:
        overrides["dataset.path"] = path
    command = f"{TRAIN} --preset {preset}"
    for key, value in overrides.items():
        command += f" --set {quoted(f'{key}={value_text(value)}')}"
    command += _placement(step, (start.get("origin") or {}).get("compute") or {})
    out = f"again-{run.run_id[:PREFIX]}"
    step.commands.append(f"{command} --out {out}")
    if REDACTED in command:
        step.remarks.append(f"a secret was taken out below: put it where {REDACTED} stands")
    step.remarks += _attempts(run, start)
    weights = description["canonical"].get("init.weights")
    if weights is not None:
        step.remarks.append(
            f"it starts from kept networks, state sha256 {weights}; where they lie elsewhere now: "
            "change init.weights below"
        )
    if PLUGINS_KEY in description["canonical"]:
        step.remarks.append(f"then {out} holds it, under an id that does not count the plug-ins")
    else:
        step.remarks.append(f"then {out}/run.json names run {run.run_id}")
    return step


def _id_of(preset: str, overrides: Mapping[str, Any], description: Mapping[str, Any]) -> str | None:
    """Return the run id that these settings have in this version; None where it refuses them."""
    data = DataIdentity(**description["data"])
    try:
        weights = description["canonical"].get("init.weights")
        settings = canonical(resolve(preset, overrides), data.images, weights)
    except ConfigError:
        return None
    if PLUGINS_KEY in description["canonical"]:
        settings[PLUGINS_KEY] = description["canonical"][PLUGINS_KEY]
    return run_id_of(settings, data)


def _placement(step: Step, compute: Mapping[str, Any]) -> str:
    """Return the options for device and threads; what was not recorded is no option."""
    options = ""
    for name in ("device", "threads"):
        if compute.get(name) is None:
            step.remarks.append(f"{name}: not known; left to this machine")
        else:
            options += f" --{name} {quoted(str(compute[name]))}"
    model = [compute[name] for name in ("kind", "capability") if compute.get(name)]
    if model:
        step.remarks.append(f"it ran on {', '.join(model)}; on another the last bits may differ")
    return options


def _attempts(run: RunFolder, start: Mapping[str, Any]) -> Iterator[str]:
    """Yield what sets a run in several attempts apart from one in one go."""
    attempt = run.last_attempt()
    if attempt is None:
        yield "it has not begun, so nothing of code and environment is recorded"
    elif not start:
        yield f"attempt {attempt.number} recorded no start, so nothing of code and environment"
    elif start["step"] > 0:
        way = "exactly" if start.get("exact") else "inexactly, under other code or another machine"
        yield f"attempt {attempt.number} went on from step {start['step']}, {way}; here in one go"
