"""Rebuilds a table from results.db and names the formats that `sweep report` prints it in."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from analysis.papers.rows import (
    TableRows,
    load_table,
    load_table_file,
    run_table_ids,
    table_ids,
    table_of_sweep,
)
from analysis.results.connect import reading
from analysis.results.points import read_points
from analysis.results.runs import Run, read_runs, with_results
from analysis.results.sweeps import SweepAsked, read_sweeps
from analysis.tables.asked import unlisted_variants
from analysis.tables.build import Table, UnknownSweepError, build, matching_labels, runs_of
from analysis.tables.completeness import Overview, table_overview
from analysis.tables.evidence import verdicts_of
from analysis.tables.tidy import Report, tidy

VARIANTS = "variants"
"""The name of the table of a sweep's own variants, beside those of the papers."""
_FILE_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True)
class Source:
    """One reading of a database, from which any number of tables is rebuilt.

    Attributes:
        db: path or URL.
        connection: still open, since results are read for the runs of a table alone.
        runs: without results.
        sweeps: what they ask for, newest first.
        names: of the sweeps that were asked for; empty for all.
    """

    db: str
    connection: Connection
    runs: Sequence[Run]
    sweeps: Sequence[SweepAsked]
    names: Sequence[str] = ()

    def definition(self, name: str) -> TableRows:
        """Return a paper's table, that of a file, or of all variants of the one sweep.

        Raises:
            UnknownTableError: no table of that name.
            UnknownSweepError: it is not one sweep of which the variants are asked for.
        """
        return _table_of(self.sweeps, self.names) if name == VARIANTS else _definition(name)

    def report(self, rows: TableRows, setting: str | None = None) -> Report:
        """Rebuild a table at a setting; at the newest where None.

        Raises:
            UnknownSettingError: no setting of that name.
        """
        results = partial(with_results, self.connection)
        table = build(rows, self.runs, results, setting, self.sweeps)
        built = tidy(table, verdicts_of(table), _unlisted(table, self.sweeps))
        return replace(built, series=partial(read_points, self.db))

    def overview(self) -> Overview:
        """Return every table that runs can fill, with its settings and how complete they are."""
        tables = [load_table(name) for name in run_table_ids()]
        return Overview(
            [table_overview(rows, self.runs, self.sweeps) for rows in tables],
            [sweep.label for sweep in self.sweeps if not sweep.tables],
        )


@contextmanager
def opened(db: str, sweeps: Sequence[str] = ()) -> Iterator[Source]:
    """Read the runs of a database once, for several tables.

    Args:
        db: path or URL.
        sweeps: use only their runs; all where empty.

    Raises:
        UnknownSweepError: no sweep of that name.
        NoDatabaseError: no database there.
    """
    with reading(db) as connection:
        yield Source(db, connection, *_read(connection, sweeps), sweeps)


def definition_of(name: str, known_keys: Collection[str] = ()) -> TableRows | None:
    """Return the table of a name; None for `variants`, which the database must tell.

    Args:
        name: of the table, or its file.
        known_keys: of a run, against which those of a file are checked; unchecked where empty.

    Raises:
        UnknownTableError: no table of that name.
        TableFileError: no such file, or not one of a table.
    """
    return None if name == VARIANTS else _definition(name, known_keys)


def published_report(rows: TableRows) -> Report:
    """Return a table that no run can be of: as it is published, without a database."""
    return tidy(build(rows, [], lambda runs: runs))


def report(
    db: str,
    name: str,
    setting: str | None = None,
    sweeps: Sequence[str] = (),
    protocol: str | None = None,
    network: str | None = None,
) -> Report:
    """Rebuild a table from a database.

    Args:
        db: path or URL.
        name: of a paper's table, or the file of a table of one's own, or `variants`: all variants
            of the one sweep that is named.
        setting: id of the setting, or its first digits; that of the newest sweep where None.
        sweeps: use only their runs; all where empty.
        protocol: by which runs are judged; the table's own where None.
        network: which of a run's networks is judged; the table's own where None.

    Raises:
        UnknownTableError: no table of that name.
        UnknownSettingError: no setting of that name.
        UnknownSweepError: no sweep of that name.
        NoDatabaseError: no database there.
    """
    with opened(db, sweeps) as source:
        rows = source.definition(name)
        rows = replace(rows, protocol=protocol or rows.protocol, network=network or rows.network)
        return source.report(rows, setting)


def overview(db: str, sweeps: Sequence[str] = ()) -> Overview:
    """Return every table with its settings, and how complete they are.

    Args:
        db: path or URL.
        sweeps: count only runs that these sweeps ask for; all where empty.

    Raises:
        UnknownSweepError: no sweep of that name.
        NoDatabaseError: no database there.
    """
    with opened(db, sweeps) as source:
        return source.overview()


def _definition(name: str, known_keys: Collection[str] = ()) -> TableRows:
    """Return a paper's table, or that of a file."""
    if name.endswith(_FILE_ENDINGS):
        return load_table_file(Path(name), known_keys)
    return load_table(name)


def _table_of(sweeps: Sequence[SweepAsked], names: Sequence[str]) -> TableRows:
    """Return the table of the variants of the one sweep that is asked for."""
    if len(names) != 1 or len(sweeps) != 1:
        labels = ", ".join(sweep.label for sweep in sweeps) or "there is none"
        raise UnknownSweepError(
            f"the table {VARIANTS} is of one sweep: sweep report SWEEP --table {VARIANTS}; "
            f"sweeps: {labels}"
        )
    (sweep,) = sweeps
    return variants_table(sweep)


def variants_table(sweep: SweepAsked) -> TableRows:
    """Return the table of a sweep's own variants."""
    return table_of_sweep(sweep.label, sweep.variants, _baseline_of(sweep), "all its variants")


def _baseline_of(sweep: SweepAsked) -> str | None:
    """Return the variant that is a sweep's baseline; one that its overrides name is looked for."""
    if isinstance(sweep.baseline, str):
        return sweep.baseline
    for name, config in sweep.variants.items():
        if all(config.get(key) == value for key, value in sweep.baseline.items()):
            return name
    return None


def _read(
    connection: Connection, names: Sequence[str]
) -> tuple[Sequence[Run], Sequence[SweepAsked]]:
    """Return the runs of the named sweeps, and what those ask for; all where none is named."""
    runs = read_runs(connection)
    sweeps = read_sweeps(connection)
    if not names:
        return runs, sweeps
    labels = matching_labels(names, [sweep.label for sweep in sweeps])
    return runs_of(labels, runs), [sweep for sweep in sweeps if sweep.label in labels]


def _unlisted(table: Table, sweeps: Sequence[SweepAsked]) -> list[str]:
    """Return the variants of the shown setting's sweep that are rows of none of its tables."""
    if table.setting is None:
        return []
    label = table.setting.sweep
    names = {name for sweep in sweeps if sweep.label == label for name in sweep.tables}
    known = [load_table(name) for name in sorted(names & {*table_ids()})]
    return unlisted_variants([*known, table.rows], sweeps, label)
