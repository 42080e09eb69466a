"""Makes the table of a sweep that feeds no paper's table: its variants are the rows."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from analysis.papers.definition_file import MetricEntry
from analysis.papers.printed import Published
from analysis.papers.table_rows import TableRow, TableRows

_ALWAYS = "method"
"""The key by which a row finds its baseline."""
_SEED = "seed"
_FIGURES = ("rows", "drop", "axis", "collapse_over_time")
"""What may be shown of any sweep; a kind that its rows do not allow is left out."""


def table_of_sweep(
    label: str,
    variants: Mapping[str, Mapping[str, Any]],
    baseline: str | None,
    title: str = "",
) -> TableRows:
    """Return a table with one row for each variant, and no published side.

    A row holds its own variant's config and no other's. Variants of one config are one row.

    Args:
        label: name of the table.
        variants: name → canonical config.
        baseline: the variant that others are compared with, None where there is none.
        title: for people; the name where it is empty.
    """
    names_of: dict[str, list[str]] = {}
    configs: dict[str, Mapping[str, Any]] = {}
    for name, config in variants.items():
        own = {key: value for key, value in config.items() if key != _SEED}
        text = _text({key: value for key, value in own.items() if value is not None})
        names_of.setdefault(text, []).append(name)
        configs[text] = own

    axes = _axes([*configs.values()])
    rows = {names[0]: _row(names, configs[text], axes) for text, names in names_of.items()}
    metric = MetricEntry()
    return TableRows(
        id=label,
        title=title or label,
        protocol=metric.protocol,
        network=metric.network,
        metric=metric.name,
        axes=axes,
        baselines=tuple(names[0] for names in names_of.values() if baseline in names),
        rows=rows,
        figures=_FIGURES,
    )


def _row(names: Sequence[str], config: Mapping[str, Any], axes: Sequence[str]) -> TableRow:
    """Return the row of the variants of one config."""
    return TableRow(
        key=names[0],
        label=" = ".join(names),
        match={key: _wanted(config.get(key)) for key in axes},
        companions=(),
        published=Published(),
    )


def _axes(configs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the keys in which configs differ, and the method; a missing key is null."""
    axes = {_ALWAYS: None}
    for key in dict.fromkeys(chain.from_iterable(configs)):
        values = {_text(config.get(key)) for config in configs}
        if len(values) > 1:
            axes[key] = None
    return tuple(axes)


def _wanted(value: Any) -> Any:
    """Return a value as a row wants it; a mapping would mean one of several."""
    return {"any": [value]} if isinstance(value, Mapping) else value


def _text(value: Any) -> str:
    """Return a value as a text that is the same where the values are: 1 and 1.0 are one."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
