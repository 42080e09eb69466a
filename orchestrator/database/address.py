"""Tells what the address of a database means: a path, or a SQLAlchemy URL. Opens nothing.

Shared by the two that open results.db: the orchestrator to write it, analysis to read it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.exc import DatabaseError


class AddressError(Exception):
    """Means that an address is neither a path nor a URL."""


def is_url(address: str) -> bool:
    """Tell whether an address is meant as a URL; any other is a path."""
    return "://" in address


def parse(address: str) -> "URL":
    """Return the URL of an address; that of a path names a SQLite file.

    Raises:
        AddressError: it is meant as a URL, but is none.
    """
    # Commands that only ask whether something is a URL do not wait for SQLAlchemy.
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if not is_url(address):
        return URL.create("sqlite", database=str(Path(address).absolute()))
    try:
        return make_url(address)
    except ArgumentError:
        raise AddressError(f"{address!r} is neither a path nor a URL") from None


def named(address: str) -> str:
    """Return an address as it may be shown: without the password."""
    if not is_url(address):
        return address
    try:
        return parse(address).render_as_string()
    except AddressError:
        return address


def cause(error: "DatabaseError") -> str:
    """Return what the database said, on one line."""
    return str(error.orig).strip().partition("\n")[0]
