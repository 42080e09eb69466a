"""Holds `sweep keys`, which says what a spec may set, and `sweep schema`, which tells editors."""

import json
from collections.abc import Mapping
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.complete import complete_keys
from orchestrator.cli.console import make_console
from orchestrator.errors import UsageError

if TYPE_CHECKING:
    from byol_core.config.key_facts import KeyFacts


def keys(
    key: Annotated[
        str | None,
        typer.Argument(help="One key, or a part of some, e.g. norm.", autocompletion=complete_keys),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what a run can be told: every key, what it may hold, its default and its meaning.

    Example: sweep keys projector.norm
    """
    chosen = _matching(key)
    if as_json:
        print(json.dumps([_document(facts) for facts in chosen], indent=1, ensure_ascii=False))
    elif len(chosen) == 1:
        _show(chosen[0])
    else:
        _print_rows({facts.key: _in_short(facts) for facts in chosen})


def schema() -> None:
    """Print the JSON Schema of a spec, with which an editor completes and checks one.

    Example: sweep schema > spec.schema.json
    """
    from analysis.papers.table_names import run_table_ids
    from orchestrator.spec.schema import schema_text

    print(schema_text(run_table_ids()), end="")


def _matching(word: str | None) -> "list[KeyFacts]":
    """Return the facts of the key of this name, or else of those that it is a part of."""
    from byol_core.config.key_facts import key_facts
    from byol_core.config.resolve import nearest_key

    known = key_facts()
    if word is None:
        return [*known.values()]
    if word in known:
        return [known[word]]
    matching = [facts for key, facts in known.items() if word.lower() in key]
    if not matching:
        near = nearest_key(word)
        hint = f"did you mean {near!r}? " if near else ""
        raise UsageError(f"no key has {word!r} in its name; {hint}`sweep keys` lists all")
    return matching


def _in_short(facts: "KeyFacts") -> str:
    changed = [f"; {preset} {shown(value)}" for preset, value in facts.presets.items()]
    more = "".join(changed)
    return f"{facts.meaning} ({facts.allowed}; default {shown(facts.default)}{more})"


def _document(facts: "KeyFacts") -> dict[str, Any]:
    return {
        "key": facts.key,
        "meaning": facts.meaning,
        "allowed": facts.allowed,
        "schema": dict(facts.schema),
        "default": facts.default,
        "presets": dict(facts.presets),
    }


def _show(facts: "KeyFacts") -> None:
    """Print all that there is to say of one key."""
    print(facts.key)
    _print_rows(
        {
            "meaning": facts.meaning,
            "allowed": facts.allowed,
            "default": shown(facts.default),
            **{f"in {preset}": shown(value) for preset, value in facts.presets.items()},
            "example": f"--set {facts.key}={_example(facts)}",
        }
    )


def _print_rows(texts: Mapping[str, str]) -> None:
    """Print each name with its text beside it, folded into the terminal's width."""
    first = max(map(len, texts)) + 2
    width = max(make_console().width, first + 30)
    for name, text in texts.items():
        print(fill(f"{name:<{first}}{text}", width, subsequent_indent=" " * first))


def shown(value: Any) -> str:
    """Return a value as a spec writes it."""
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _example(facts: "KeyFacts") -> str:
    """Return a value that differs from the default, where one is known."""
    for value in [*facts.presets.values(), *facts.choices]:
        if shown(value) != shown(facts.default):
            return shown(value).replace(" ", "")
    return shown(facts.default).replace(" ", "")
