"""Names all tables without parsing a file, as completing a command does.

A published file holds several tables; each begins at a line with its name, two spaces in.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

SHOWN_IN = {
    "norm_components": "norm",
    "blog_mlp_norm": "mlp_norm",
    "blog_long_encoder_norm": "encoder_norm_long",
    "blog_no_bn_tricks": "no_bn_tricks",
    "fixed_target": "tau",
    "init_scale": "init",
}
"""Published table → the table that shows its rows under another name."""
_ENDING = ".yaml"
_TABLE = re.compile(r"^  (\w+):\s*$", re.MULTILINE)


@cache
def run_table_ids() -> tuple[str, ...]:
    """Return the names of the tables that runs can fill."""
    definitions = files("analysis.papers").joinpath("tables").iterdir()
    return tuple(sorted(file.name.removesuffix(_ENDING) for file in definitions))


def table_ids() -> list[str]:
    """Return the names of all tables, also of those with a published side alone."""
    return sorted({*run_table_ids(), *file_of_table()} - SHOWN_IN.keys())


@cache
def published_files() -> Mapping[str, str]:
    """Return the text of each source's file, by its name."""
    folder = files("analysis.papers").joinpath("published")
    return {
        file.name.removesuffix(_ENDING): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(_ENDING)
    }


@cache
def file_of_table() -> Mapping[str, str]:
    """Return the file of each published table; nothing is parsed."""
    files: dict[str, str] = {}
    for file, text in sorted(published_files().items()):
        files |= dict.fromkeys(tables_in(text), file)
    return files


def tables_in(text: str) -> list[str]:
    """Return the names of a file's tables, in their order."""
    return _TABLE.findall(text)


def only_table(text: str, table: str) -> str:
    """Return a file's text with this table alone, on the lines where it stands.

    Reading one table then takes the time of one table.
    """
    starts = [match.start() for match in _TABLE.finditer(text)]
    ends = [*starts[1:], len(text)]
    names = tables_in(text)
    if table not in names:
        return text
    at = names.index(table)
    skipped = text[starts[0] : starts[at]].count("\n")
    return text[: starts[0]] + "\n" * skipped + text[starts[at] : ends[at]]
