"""Makes files durable: this is the one place that syncs, renames and appends.

* ``durable`` writes whole files and claims folders.
* ``many`` writes many files at once.
* ``records`` keeps append-only logs of checksummed JSON lines.
* ``access`` says who may read them.
* ``outputs`` writes what a user asked for by its name.
* ``paths`` reads paths as users type them.
"""

from byol_core.files.access import GroupError, create_file, find_group, open_like, share, umask_of
from byol_core.files.durable import (
    DamagedFileError,
    claim_folder,
    is_there,
    make_folder,
    names_in,
    publish_folder,
    read_bytes,
    read_json,
    remove_tree,
    to_json,
    write_atomic,
    write_json,
    write_new,
)
from byol_core.files.many import write_folder, write_many
from byol_core.files.outputs import output
from byol_core.files.paths import absolute, expanded
from byol_core.files.records import Cursor, Damage, RecordLog, RecordReader

__all__ = [
    "Cursor",
    "Damage",
    "DamagedFileError",
    "GroupError",
    "RecordLog",
    "RecordReader",
    "absolute",
    "claim_folder",
    "create_file",
    "expanded",
    "find_group",
    "is_there",
    "make_folder",
    "names_in",
    "open_like",
    "output",
    "publish_folder",
    "read_bytes",
    "read_json",
    "remove_tree",
    "share",
    "to_json",
    "umask_of",
    "write_atomic",
    "write_folder",
    "write_json",
    "write_many",
    "write_new",
]
