"""Durable files: the one place where this system syncs, renames and appends.

``durable`` writes whole files and claims folders, ``batch`` many files at once; ``records`` keeps append-only logs of
checksummed JSON lines.
"""

from byol_core.files.batch import link_many, write_many
from byol_core.files.durable import (
    DamagedFileError,
    claim_folder,
    make_folder,
    publish_folder,
    read_json,
    remove_tree,
    to_json,
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
    "link_many",
    "make_folder",
    "publish_folder",
    "read_json",
    "remove_tree",
    "to_json",
    "write_atomic",
    "write_json",
    "write_many",
]
