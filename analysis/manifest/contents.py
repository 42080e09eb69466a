"""Declares what a manifest holds: the rows of a table with their numbers, and the runs behind them.

Its bytes are the same whenever the same table is written. It holds no path but those inside a run's
folder, and nothing of the environment.
"""

import json
from collections import Counter
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from analysis.errors import AnalysisError

VERSION = 1
"""Of the form of a manifest; raised when an older program could not read it any more."""
_KIND: Final = "byol-sweeps manifest"


RunId = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Word = Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_]+$")]
"""Parts of the names of files and folders, so nothing else may be in them."""


class ManifestError(AnalysisError):
    """This file is no manifest, or one that this version cannot read."""


class _Part(BaseModel):
    """A part of a manifest; keys that this version does not know are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TableDefinition(_Part):
    """What a table is, without its rows; the words are those of `TableRows`."""

    id: str
    title: str
    protocol: Word
    network: str
    metric: str
    axes: list[str]
    baselines: list[str]


class SettingEntry(_Part):
    """The setting that a table was shown for."""

    id: str
    values: dict[str, Any]
    protocol_version: int


class RowEntry(_Part):
    """A row: what makes a run one of it, its numbers as printed, and the ids of its runs."""

    key: str
    label: str
    match: dict[str, Any]
    companions: list[str]
    not_run: str
    n: int
    mean: float | None
    std: float | None
    half_range: float | None
    ci95: tuple[float, float] | None
    baseline: str | None
    delta: float | None
    delta_ci95: tuple[float, float] | None
    n_pairs: int | None
    p_holm: float | None
    collapsed: tuple[int, int] | None
    runs: list[RunId]


class RunEntry(_Part):
    """A run, and what its value came from.

    Attributes:
        run_id: the whole id.
        seed: of the run.
        state: of the run.
        value: of the table's metric; None where it has none.
        excluded: whether people left it out.
        attempt: the number of the one that counts.
        commit: of the code that ran.
        snapshot: hash of the copy of that code.
        trainer: digest of the modules that train and evaluate.
        semantics: of that trainer.
        data: fingerprint of the images.
        files: path in the run's folder → sha256, of the files that hold the value.
    """

    run_id: RunId
    seed: int
    state: str
    value: float | None
    excluded: bool
    attempt: int
    commit: str | None
    snapshot: str | None
    trainer: str | None
    semantics: int
    data: str
    files: dict[str, str]


class Manifest(_Part):
    """A table, its numbers, and the runs behind them."""

    kind: Literal["byol-sweeps manifest"] = _KIND
    version: int = VERSION
    table: TableDefinition
    setting: SettingEntry | None
    rows: list[RowEntry]
    runs: list[RunEntry]


def as_bytes(manifest: Manifest) -> bytes:
    """Return the content of a manifest's file."""
    content = manifest.model_dump(mode="json")
    return f"{json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)}\n".encode()


def parse(content: bytes) -> Manifest:
    """Return the manifest that a file holds.

    Raises:
        ManifestError: it holds none, or one of a newer version; the text goes on behind the file's
            name.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        raise ManifestError("is no JSON; `sweep report --manifest FILE` writes one") from None
    if not isinstance(values, dict) or values.get("kind") != _KIND:
        raise ManifestError("is no manifest; `sweep report --manifest FILE` writes one")

    version = values.get("version")
    if version != VERSION:
        raise ManifestError(
            f"is a manifest of version {version}, this program reads version {VERSION}; "
            "use the version of the program that wrote it"
        )
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(word) for word in first["loc"])
        raise ManifestError(f"is no whole manifest: {place}: {first['msg']}") from None
    _check_references(manifest)
    return manifest


def _check_references(manifest: Manifest) -> None:
    """Raise unless every name in it stands for something in it."""
    keys = [row.key for row in manifest.rows]
    ids = [run.run_id for run in manifest.runs]
    for name, count in Counter([*keys, *ids]).items():
        if count > 1:
            raise ManifestError(f"is no whole manifest: {name} stands in it twice")

    unknown = {run_id for row in manifest.rows for run_id in row.runs} - {*ids}
    unknown |= {*manifest.table.baselines} - {*keys}
    if unknown:
        raise ManifestError(f"is no whole manifest: {min(unknown)} is named and not there")
