"""Chooses the variants that a launch is limited to, and finds the images that they need."""

from collections.abc import Sequence
from dataclasses import dataclass

from byol_core.config import ConfigError, DataIdentity, DatasetConfig, nearest
from byol_core.datasets.errors import DataError, DataMissingError
from byol_core.datasets.facts import DataFacts, check_fit, data_facts
from byol_core.datasets.locate import data_identity, find
from orchestrator.errors import MissingDataError, SpecError, UsageError
from orchestrator.spec import Sweep, Variant, blame
from orchestrator.store.state import State


@dataclass(frozen=True)
class Selection:
    """Says what one launch is limited to.

    Attributes:
        seeds: instead of the spec's.
        table: only variants that are rows of this table.
        only: only these variants.
        retry: states to try again, besides those that always are.
    """

    seeds: Sequence[int] | None = None
    table: str | None = None
    only: Sequence[str] = ()
    retry: frozenset[State] = frozenset()


def check_tables(sweep: Sweep, variants: Sequence[Variant]) -> None:
    """Check that the tables which the spec feeds exist, and that it has rows of them.

    An override of --set may lead away from a table on purpose.

    Raises:
        SpecError: a table does not exist, or no variant is a row of it.
    """
    from analysis.papers.rows import load_table, run_table_ids, table_ids

    known = run_table_ids()
    for i, name in enumerate(sweep.spec.tables):
        line = sweep.document.where(("tables", i))
        if name in {*table_ids()} - {*known}:
            raise SpecError(
                f"{line}: tables: {name!r} holds published numbers alone, and no run is a row of "
                f"it; remove it"
            )
        if name not in known:
            raise SpecError(f"{line}: tables: {name!r} does not exist; {nearest(name, known)}")
        rows = load_table(name)
        is_fed = any(rows.row_of(variant.canonical()) is not None for variant in variants)
        if not is_fed and not sweep.overrides:
            raise SpecError(
                f"{line}: tables: no variant is a row of {name!r}, whose axes are "
                f"{', '.join(rows.axes)}; correct the variants, or remove the table"
            )


def named_variants(
    sweep: Sweep, variants: Sequence[Variant], names: Sequence[str]
) -> list[Variant]:
    """Return the variants of these names.

    Raises:
        UsageError: there is no variant of a name.
    """
    known = {variant.name: variant for variant in variants}
    for name in names:
        if name not in known:
            raise UsageError(
                f"--only {name}: {sweep.document.file} has no such variant; {nearest(name, known)}"
            )
    return [known[name] for name in names]


def rows_of_table(sweep: Sweep, variants: Sequence[Variant], table: str) -> list[Variant]:
    """Return the variants that are rows of a table.

    Raises:
        UsageError: the table does not exist, or no variant is a row of it.
    """
    from analysis.papers.rows import UnknownTableError, load_table

    try:
        rows = load_table(table)
    except UnknownTableError as error:
        raise UsageError(str(error)) from None
    chosen = [variant for variant in variants if rows.row_of(variant.canonical()) is not None]
    if not chosen:
        raise UsageError(
            f"--table {table}: no variant of {sweep.document.file} is a row of it; "
            f"tables: {sweep.spec.tables}"
        )
    return chosen


def data_identities(sweep: Sweep, variants: Sequence[Variant]) -> dict[str, DataIdentity]:
    """Return, by the name of each variant, what images it trains on.

    Raises:
        MissingDataError: images are missing; the text says how to get them, and which profile needs
            none.
        SpecError: the images are no images, or cannot serve a variant.
    """
    known: dict[DatasetConfig, tuple[DataIdentity, DataFacts]] = {}
    for variant in variants:
        dataset = variant.config.dataset
        try:
            if dataset not in known:
                files = find(dataset)
                known[dataset] = (data_identity(dataset, files), data_facts(dataset, files))
            check_fit(variant.config, known[dataset][1])
        except DataMissingError as error:
            raise MissingDataError(f"{error}{_way_out(sweep)}") from None
        except DataError as error:
            raise blame(sweep, variant.row, "dataset.path", variant.name, error) from None
        except ConfigError as error:
            raise blame(sweep, variant.row, error.key, variant.name, error) from None
    return {variant.name: known[variant.config.dataset][0] for variant in variants}


def _way_out(sweep: Sweep) -> str:
    """Return a sentence that names a profile whose data is always there."""
    from byol_core.config import resolve

    for name, profile in sweep.spec.profiles.items():
        preset = profile.base.get("preset")
        if name == sweep.profile or any(key.startswith("dataset.") for key in sweep.overrides):
            continue  # it would need the same images
        if preset is not None and resolve(preset, {}).dataset.name == "digits":
            return f"; or use --profile {name}, which needs no download. Nothing was submitted"
    return ". Nothing was submitted"
