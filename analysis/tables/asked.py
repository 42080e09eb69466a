"""Tells what sweeps ask for of a table's setting, so that a row is complete against its spec.

A launch of one seed does not make a row of three done, and neither does a run that was deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from analysis.papers.rows import TableRows
from analysis.results.sweeps import SweepAsked
from analysis.tables.setting_index import Values, agree
from analysis.tables.settings import Setting, feeds, values_of

Seeds = Mapping[str, frozenset[int]]
"""Row key → the seeds that are asked for."""


@dataclass(frozen=True)
class AskedVariant:
    """A variant of a sweep that is a row of a table: the row's key, and the seeds asked for."""

    row: str
    sweep: str
    variant: str
    seeds: frozenset[int]


def asked_seeds(table: TableRows, setting: Setting, sweeps: Sequence[SweepAsked]) -> Seeds:
    """Return the seeds that sweeps ask for, row by row."""
    seeds: dict[str, frozenset[int]] = {}
    for variant in asked_variants(table, setting, sweeps):
        seeds[variant.row] = seeds.get(variant.row, frozenset()) | variant.seeds
    return seeds


def asked_variants(
    table: TableRows, setting: Setting, sweeps: Sequence[SweepAsked]
) -> Iterator[AskedVariant]:
    """Yield the variants that sweeps ask for and that are rows of a table's setting.

    Sweeps that were made for the table count; where none was, all that share a run with the setting.
    """
    of_setting = {run.run_id for run in setting.runs()}
    sharing = [sweep for sweep in sweeps if not of_setting.isdisjoint(sweep.runs.values())]
    feeding = [sweep for sweep in sharing if feeds(sweep, table)]

    for sweep in feeding or sharing:
        for name, config in sweep.variants.items():
            row = table.row_of(config)
            if row is not None and _is_of(setting, values_of(table, row, config)):
                yield AskedVariant(row.key, sweep.label, name, _seeds_of(sweep, name))


def unlisted_variants(
    tables: Sequence[TableRows], sweeps: Sequence[SweepAsked], label: str
) -> list[str]:
    """Return the variants of a sweep that are rows of none of these tables."""
    for sweep in sweeps:
        if sweep.label == label:
            return [
                name
                for name, config in sweep.variants.items()
                if all(table.row_of(config) is None for table in tables)
            ]
    return []


def _is_of(setting: Setting, values: Values) -> bool:
    """Tell whether a variant's values are the setting's, as far as a spec knows them."""
    return agree(values, setting.values)


def _seeds_of(sweep: SweepAsked, variant: str) -> frozenset[int]:
    """Return the spec's seeds, and those of launches that named others."""
    launched = {seed for name, seed in sweep.runs if name == variant}
    return frozenset(launched.union(sweep.seeds or ()))
