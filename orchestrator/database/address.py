"""Tells what the address of a database means: a path, or a SQLAlchemy URL. Opens nothing.

Shared by the two that open results.db: the orchestrator to write it, analysis to read it.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from byol_core.files import absolute

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
        return URL.create("sqlite", database=str(absolute(address)))
    try:
        return make_url(address)
    except ArgumentError:
        raise AddressError(f"{address!r} is neither a path nor a URL") from None


def read_only_url(file: Path) -> "URL":
    """Return the URL by which SQLite opens a file and cannot change it."""
    from sqlalchemy import URL

    # Where SQLite can make no lock files, it reads only what it may take for unchanging.
    options = {"mode": "ro", "uri": "true"}
    if _is_at_rest(file):
        options["immutable"] = "1"
    return URL.create("sqlite", database=f"file:{quote(str(file))}", query=options)


def _is_at_rest(file: Path) -> bool:
    """Tell whether nobody writes a database in whose folder we could not make a file.

    SQLite wants lock files there even of a reader, unless it is told that nothing will change.
    """
    return not os.access(file.parent, os.W_OK) and not file.with_name(f"{file.name}-wal").exists()


def named(address: str) -> str:
    """Return an address as it may be shown: without the password."""
    if not is_url(address):
        return address
    try:
        return parse(address).render_as_string()
    except AddressError:
        return address


def is_busy(error: "DatabaseError") -> bool:
    """Tell whether another program holds the database."""
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY")


def is_full(error: "DatabaseError") -> bool:
    """Tell whether there is no room left where the database lies."""
    return getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_FULL")


def cause(error: "DatabaseError") -> str:
    """Return what the database said, on one line."""
    return str(error.orig).strip().partition("\n")[0]
