"""Durable files: the one place where this system syncs, renames and appends.

``durable`` writes whole files and claims folders; ``records`` keeps append-only logs of checksummed JSON lines.
"""

from byol_core.files.durable import (
    DamagedFileError,
    claim_folder,
    make_folder,
    publish_folder,
    read_json,
    remove_tree,
    write_atomic,
    write_json,
)
from byol_core.files.records import Cursor, Damage, RecordLog, RecordReader

__all__ = [
    "Cursor",
    "Damage",
    "DamagedFileError",
    "RecordLog",
    "RecordReader",
    "claim_folder",
    "make_folder",
    "publish_folder",
    "read_json",
    "remove_tree",
    "write_atomic",
    "write_json",
]
