"""Finds a folder for the fork server's socket, whose whole name must fit into 107 bytes.

$TMPDIR may be longer, as that of a job or of a test is, or not writable.
"""

import os
import tempfile
from multiprocessing import util

from orchestrator.errors import StoreError

_LONGEST_BYTES = 107
_BELOW = "/pymp-12345678/listener-12345678"
"""What Python puts below the folder."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")


def make_socket_folder() -> None:
    """Have Python put the sockets of this process into a folder that is short and writable.

    Raises:
        StoreError: there is none.
    """
    before = tempfile.tempdir
    problem = "none is writable"
    for folder in _candidates():
        tempfile.tempdir = folder
        try:
            util.get_temp_dir()  # made once, and used for every socket of this process
        except OSError as error:
            problem = f"{folder}: {error.strerror}"
        else:
            return
        finally:
            tempfile.tempdir = before
    raise StoreError(
        f"no folder for the socket of local runs ({problem}); "
        f"set TMPDIR to a writable folder of at most {_LONGEST_BYTES - len(_BELOW)} bytes"
    )


def _candidates() -> list[str]:
    """Return the folder for temporary files where it is short, and those that always are."""
    try:
        usual = tempfile.gettempdir()
    except FileNotFoundError:  # neither $TMPDIR nor any that Python knows can be written
        return list(_SHORT)
    if len(os.fsencode(usual + _BELOW)) > _LONGEST_BYTES:
        return list(_SHORT)
    return [usual, *_SHORT]
