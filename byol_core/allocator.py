"""Has a process keep the memory that it frees, so that the next step finds it ready.

The C library gives large blocks back to the system when they are freed, and the system hands them
out again page by page, each filled with zeros first. A step that allocates the same blocks over and
over spends a tenth and more of its time on that.
"""

import ctypes
from functools import cache

_TRIM_THRESHOLD = -1
_TOP_PAD = -2
_MMAP_THRESHOLD = -3
"""Parameters of `mallopt`, as numbered in malloc.h of the GNU C library."""

_LARGEST_KEPT = 1 << 30
_LARGEST_OF_OLDER = 32 << 20
"""What `mallopt` takes at most for the threshold of blocks, before version 2.35."""
_GROWTH = 64 << 20


@cache
def keep_freed_memory() -> None:
    """Keep what is freed from now on, up to the most that was in use; once, for the whole process.

    The peak rises a little: by what is asked for ahead, and by gaps that no later block fits. A C
    library that is not GNU's goes on as it does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018 - others take these numbers otherwise
    except (AttributeError, OSError, TypeError):
        return
    if not mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT):
        mallopt(_MMAP_THRESHOLD, _LARGEST_OF_OLDER)
    mallopt(_TRIM_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TOP_PAD, _GROWTH)
