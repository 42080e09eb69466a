"""Holds `sweep verify`, which derives the numbers of a manifest again from the run files."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import page_width
from orchestrator.cli.context import Places
from orchestrator.cli.results.manifest import digests_by, read_manifest
from orchestrator.store.names import nothing_there
from orchestrator.store.root import Root, RunFolder
from orchestrator.text import counted, plain

if TYPE_CHECKING:
    from analysis.manifest.check import RowCheck
    from analysis.manifest.contents import Manifest

_SHOWN = 10
"""The remarks that are printed of one row."""


def verify(
    context: typer.Context,
    manifest: Annotated[
        Path, typer.Argument(help="A file that `sweep report --manifest FILE` wrote.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Derive every number of a table again from the run files, and say which differ.

    The database is not believed: one of these runs alone is made from their folders.

    Example: sweep report --table norm --manifest norm.json, then sweep verify norm.json
    """
    from analysis.manifest.check import check
    from analysis.results.connect import reading
    from orchestrator.database.part import database_of

    places: Places = context.obj
    written = read_manifest(manifest)
    folders = _folders(places, [run.run_id for run in written.runs])
    version = written.setting.protocol_version if written.setting is not None else 1
    with database_of(folders) as (address, damaged), reading(address) as connection:
        checks = check(connection, written, digests_by(written.table.protocol, version))
    for text in damaged:
        print(f"warning: {plain(text)}", file=sys.stderr)

    failing = [row for row in checks if not row.is_same]
    if as_json:
        print(_json(written, checks))
        raise typer.Exit(1 if failing else 0)
    print(_title(written))
    for row in checks:
        print("\n".join(_lines(row, page_width())))
    if failing:
        print(f"{len(failing)} of {counted(len(checks), 'row')} not the same by the files")
        raise typer.Exit(1)
    print(f"{counted(len(checks), 'row')}: every number is the same by the files")


def _folders(places: Places, run_ids: Sequence[str]) -> list[RunFolder]:
    """Return the folders of runs: in this root, or in one of the database's that has begun with it."""
    homes = [places.root, *_other_roots(places)]
    if not any(home.path.is_dir() for home in homes):
        raise nothing_there(places.root)

    folders: list[RunFolder] = []
    for run_id in run_ids:
        candidates = [home.run(run_id) for home in homes]
        there = [folder for folder in candidates if folder.path.is_dir()]
        begun = [folder for folder in there if folder.last_attempt() is not None]
        folders += (begun or there)[:1]
    return folders


def _other_roots(places: Places) -> list[Root]:
    """Return the other roots of the database; it need not be there, nor be of this version."""
    from sqlalchemy import select

    from analysis.errors import AnalysisError
    from analysis.results.connect import reading
    from orchestrator.database.schema import runs

    try:
        with reading(places.db) as connection:
            paths = connection.scalars(select(runs.c.root).distinct()).all()
    except AnalysisError:
        return []
    return [Root(Path(path)) for path in sorted(paths)]


def _json(manifest: "Manifest", checks: "Sequence[RowCheck]") -> str:
    """Return what differs, row by row, for programs."""
    rows = [
        {
            "row": row.key,
            "label": row.label,
            "n": row.n,
            "same": row.is_same,
            "differing_numbers": list(row.numbers),
            "differing_runs": list(row.runs),
        }
        for row in checks
    ]
    setting = manifest.setting.id if manifest.setting is not None else None
    same = all(row.is_same for row in checks)
    document = {"table": manifest.table.id, "setting": setting, "same": same, "rows": rows}
    return json.dumps(document, indent=1, ensure_ascii=False)


def _title(manifest: "Manifest") -> str:
    table = manifest.table
    words = [table.id]
    if manifest.setting is not None:
        words.append(f"setting {manifest.setting.id}")
        words.append(f"{table.protocol} version {manifest.setting.protocol_version}")
    words.append(counted(len(manifest.runs), "run"))
    return plain(", ".join(words))


def _lines(row: "RowCheck", width: int) -> Iterator[str]:
    """Yield what is to be said of a row."""
    verdict = "same" if row.is_same else "DIFFERS"
    numbers = f"n {row.n}" if row.n else "without a number"
    yield from wrap(
        plain(f"{verdict:<8} {row.label} ({numbers})"), width, subsequent_indent=" " * 9
    )

    # What a run's files say comes first: numbers follow from it.
    remarks = [*row.runs, *row.numbers]
    for remark in remarks[:_SHOWN]:
        yield from wrap(plain(remark), width, initial_indent=" " * 9, subsequent_indent=" " * 11)
    if len(remarks) > _SHOWN:
        yield f"{' ' * 9}… and {len(remarks) - _SHOWN} more"
