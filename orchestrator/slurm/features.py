"""Reads a constraint such as `a100&(ib|roce)`, and tells whether the features of a node meet it."""

import re
from collections.abc import Collection

_TOKEN = re.compile(r"[&|()!]|[^&|()!\s]+")
_COUNTED = re.compile(r"[\[\]]|\*\d+")
"""Brackets and counts speak of several nodes together: `[rack1*2&rack2*4]`."""


def names(constraint: str) -> set[str]:
    """Return the features that a constraint names."""
    tokens = _TOKEN.findall(_COUNTED.sub(" ", constraint))
    return {token for token in tokens if token not in "&|()!"}


def is_met(constraint: str, features: Collection[str]) -> bool:
    """Tell whether a node with these features can take part in a job.

    Where a constraint speaks of several nodes together, one of its names is enough.
    """
    if _COUNTED.search(constraint):
        return bool(names(constraint) & set(features))
    tokens = _TOKEN.findall(constraint)
    return not tokens or _any(tokens, features)


def _any(tokens: list[str], features: Collection[str]) -> bool:
    """Take alternatives from the front of the tokens, until they or a bracket end."""
    met = _all(tokens, features)
    while tokens and tokens[0] == "|":
        tokens.pop(0)
        met = _all(tokens, features) or met
    return met


def _all(tokens: list[str], features: Collection[str]) -> bool:
    met = _single(tokens, features)
    while tokens and tokens[0] == "&":
        tokens.pop(0)
        met = _single(tokens, features) and met
    return met


def _single(tokens: list[str], features: Collection[str]) -> bool:
    """Take one name, one bracket, or the contrary of either; what is torn counts as met."""
    token = tokens.pop(0) if tokens else ""
    if token == "!":
        return not _single(tokens, features)
    if token != "(":
        return token in features or token in ("", ")")
    met = _any(tokens, features)
    if tokens and tokens[0] == ")":
        tokens.pop(0)
    return met
