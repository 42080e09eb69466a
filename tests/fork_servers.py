"""Makes the fork server of a launch out of a process that has loaded torch, which costs it seconds.

A server that was started from nothing loads the same libraries again, for each launch that a test
makes. This one takes them over, and nothing else: our own packages it imports as the other would,
from the copy of the code that the launch has recorded.
"""

import gc
import importlib
import os
import signal
import sys
import traceback
from contextlib import suppress
from multiprocessing import process, util
from pathlib import Path

_start_from_nothing = util.spawnv_passfds
_kept = []
"""What must not be cleared away: it would close descriptors that have other owners now."""


def fork_servers_from_here():
    """Fork the fork servers of this process; what else multiprocessing starts it starts as ever."""
    util.spawnv_passfds = _start


def _start(path, args, descriptors):
    if not args[-1].startswith("from multiprocessing.forkserver import main;"):
        return _start_from_nothing(path, args, descriptors)
    pid = os.fork()
    if pid == 0:
        _be_server(args[-1], [*map(int, descriptors)])
    return pid


def _be_server(code, descriptors):
    """Run the code of a server as if Python had just begun; never return."""
    status = 1
    try:
        _close_all_but([0, 1, 2, *descriptors])
        _forget_handlers()
        _forget_our_modules()
        gc.freeze()
        exec(code, {"__name__": "__main__"})
    except SystemExit:
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _close_all_but(descriptors):
    for name in [*Path("/proc/self/fd").iterdir()]:
        descriptor = int(name.name)
        if descriptor not in descriptors:
            with suppress(OSError):  # the folder's own
                os.close(descriptor)

    # Python's own streams may have written somewhere else.
    _kept.extend([sys.stdin, sys.stdout, sys.stderr])
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, closefd=False, errors="backslashreplace")  # noqa: SIM115
        for number, mode in enumerate(["r", "w", "w"])
    )


def _forget_handlers():
    """Let signals do what they do in a new program; those that are ignored or blocked stay so."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _kept.extend([dict(util._finalizer_registry), set(process._children)])
    util._finalizer_registry.clear()
    process._children.clear()


def _forget_our_modules():
    """Leave only what is installed, and look for the rest where a new program would."""
    for name, module in [*sys.modules.items()]:
        file = getattr(module, "__file__", None)
        if file is not None and not _is_installed(file):
            _kept.append(sys.modules.pop(name))
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path = [*filter(None, given), *filter(_is_installed, sys.path)]
    sys.argv = ["-c"]
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()


def _is_installed(path):
    return path.startswith((sys.prefix, sys.base_prefix))
