"""Reads and writes manifests for the commands: what `analysis` makes of a report, and files' digests."""

from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.context import Places
from orchestrator.errors import StoreError, UsageError
from orchestrator.store.result_files import result_digests
from orchestrator.store.root import Root

if TYPE_CHECKING:
    from analysis.manifest.contents import Manifest
    from analysis.manifest.write import FilesOf
    from analysis.tables.tidy import Report


def manifest_bytes(places: Places, report: "Report") -> bytes:
    """Return the content of a report's manifest.

    Raises:
        StoreError: the database cannot be read, or has lost a run meanwhile.
    """
    from analysis.errors import AnalysisError
    from analysis.manifest.contents import as_bytes
    from analysis.manifest.write import manifest_of
    from analysis.results.connect import reading

    version = report.table.setting.version if report.table.setting is not None else 1
    files_of = digests_by(report.table.rows.protocol, version)
    try:
        with reading(places.db) as connection:
            return as_bytes(manifest_of(connection, report, files_of))
    except AnalysisError as error:
        raise StoreError(str(error)) from None


def read_manifest(file: Path) -> "Manifest":
    """Return the manifest in a file.

    Raises:
        UsageError: there is no such file, or it holds none.
    """
    from analysis.manifest.contents import ManifestError, parse

    try:
        return parse(file.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{file}: cannot be read: {error.strerror}; `sweep report --manifest FILE` writes one"
        ) from None
    except ManifestError as error:
        raise UsageError(f"{file} {error}") from None


def digests_by(protocol: str, version: int) -> "FilesOf":
    """Return what reads the digests of a run's files, for runs judged by that protocol."""

    def files_of(root: str, run_id: str, attempt: int) -> dict[str, str]:
        return result_digests(Root(Path(root)).run(run_id), attempt, protocol, version)

    return files_of
