"""Names roots in results.db: one folder has one name there, by whatever link it was reached.

It also notes when a root was last collected, so that what is shown later can be dated.
"""

import time
from pathlib import Path

from sqlalchemy import Connection, Engine, select, update

from orchestrator.database import schema
from orchestrator.database.write_rows import Writer
from orchestrator.store.root import Root

_NOTED_EVERY_S = 5.0


def recorded_name(root: Root) -> str:
    """Return the name of a root in the database: its path without symbolic links."""
    return str(root.path.resolve())


def adopt(connection: Connection, root: Root) -> None:
    """Give the rows of a root its one name, where an earlier version recorded a link to it."""
    name = recorded_name(root)
    for table in (schema.runs, schema.sweeps):
        for other in connection.scalars(select(table.c.root).distinct()).all():
            if other != name and str(Path(other).resolve()) == name:
                rows = update(table).where(table.c.root == other)
                connection.execute(rows.values(root=name))


def note_pass(connection: Connection, root: Root) -> None:
    """Note that a root is being collected now; a few seconds after the last time, nothing."""
    before = _last_pass(connection, root)
    if before is None or abs(time.time() - before) > _NOTED_EVERY_S:
        row = {"key": _key(root), "value": str(time.time())}
        Writer(connection).upsert(schema.meta, [row])


def last_pass(engine: Engine, root: Root) -> float | None:
    """Return when a root was last collected, in seconds since 1970; None where it is not known."""
    with engine.connect() as connection:
        return _last_pass(connection, root)


def _last_pass(connection: Connection, root: Root) -> float | None:
    query = select(schema.meta.c.value).where(schema.meta.c.key == _key(root))
    value: str | None = connection.scalar(query)
    return None if value is None else float(value)


def _key(root: Root) -> str:
    return f"collected {recorded_name(root)}"
