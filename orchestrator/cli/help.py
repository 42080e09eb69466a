"""Makes the help pages speak of values, not of Python's types: a flag shows none."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

_WORDS = {
    "<str>": "TEXT",
    "<list[str]>": "TEXT",
    "<path>": "PATH",
    "<int>": "N",
    "<int range>": "N",
    "<float>": "N",
    "<float range>": "N",
}
"""How typer names a type → what stands for a value; what is missing here stays as typer has it."""


class Command(TyperCommand):
    """A command whose help page shows no types."""

    def get_params(self, ctx: Any) -> Any:
        """Return options and arguments, `--help` among them."""
        return _in_words(super().get_params(ctx), ctx)


class Group(TyperGroup):
    """A group of commands whose help page shows no types."""

    def get_params(self, ctx: Any) -> Any:
        """Return options, `--help` among them."""
        return _in_words(super().get_params(ctx), ctx)


def _in_words(parameters: Sequence[Any], context: Any) -> Sequence[Any]:
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            # Its name is all that is shown; an older typer has no method of this name.
            parameter.display_type_rich = _no_type
        elif getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        elif parameter.metavar is None and hasattr(parameter, "display_type"):
            parameter.metavar = _WORDS.get(parameter.display_type(context))
    return parameters


def _no_type(ctx: Any) -> str:
    return ""
