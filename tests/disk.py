"""A disk that fails on cue: at the k-th effect of this process below a folder it dies, loses power,
or gives an error.

Effects are opening for writing, writing, syncing, renaming, making and deleting. Losing power drops
what was not synced: bytes of a file since its last fsync, and names made, changed or deleted in a
folder since that folder's last fsync. This is the harshest state that POSIX allows; dying keeps all
of it, the mildest. `Disk` is installed in a child, which it ends.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEAD = 9


@dataclass
class Undo:
    """A change of a name in a folder that is not on the disk yet, and how to take it back, given
    the path.
    """

    folder: str
    name: str
    back: Callable[[str], None]

    def moved(self, source, target):
        """Follow a folder that was renamed."""
        if (self.folder + "/").startswith(source + "/"):
            self.folder = target + self.folder[len(source) :]


class Disk:
    """Watches a folder.

    Args:
        root: effects elsewhere do not count.
        k: the effect that fails; 0 for none.
        fault: "die", "power", or an errno.
    """

    def __init__(self, root, k, fault):
        self.root, self.k, self.fault = os.path.realpath(root), k, fault
        self.count = 0
        self.lock = threading.RLock()  # a checkpoint is written by a thread of its own
        self.off_in = None
        self.synced = {}  # inode → bytes on the disk, of files written since installing
        self.undo = []
        self.attic = tempfile.mkdtemp(dir=Path(self.root).parent)
        self.real = {name: getattr(os, name) for name in EFFECTS}

    def install(self):
        for name, (effect, _) in EFFECTS.items():
            setattr(os, name, self.hook(name, effect))

    def hook(self, name, effect):
        paths_of = EFFECTS[name][1]

        def hooked(*arguments, **keywords):
            paths = paths_of(*arguments, **keywords)
            if not paths or not all(path.startswith(self.root) for path in paths):
                return self.real[name](*arguments, **keywords)
            with self.lock:
                if self.off_in == threading.get_ident():
                    return self.real[name](*arguments, **keywords)
                self.count += 1
                if self.count == self.k:
                    self.fail(name, arguments)
                return effect(self, paths, *arguments, **keywords)

        return hooked

    def fail(self, name, arguments):
        if self.fault == "die":
            os._exit(DEAD)
        if self.fault == "power":
            self.lose_power()
            os._exit(DEAD)
        if name == "write":  # a disk that fills up takes a part of what it is given
            self.real["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        raise OSError(self.fault, os.strerror(self.fault))

    def lose_power(self):
        """Take back what is not on the disk; other threads wait for the end meanwhile."""
        self.off_in = threading.get_ident()
        for folder, _, files in os.walk(self.root):
            for path in (os.path.join(folder, file) for file in files):
                inode = os.stat(path).st_ino
                if inode in self.synced:
                    os.truncate(path, self.synced[inode])
        while self.undo:
            change = self.undo.pop()
            if os.path.isdir(change.folder):  # else it went with its folder, for good
                change.back(os.path.join(change.folder, change.name))

    def changed(self, path, back):
        self.undo.append(Undo(*os.path.split(path), back))

    def put_away(self, path):
        """Keep what is about to be lost under `path`; return a name for it."""
        kept = os.path.join(self.attic, str(len(os.listdir(self.attic))))
        os.link(path, kept)
        return kept

    # The effects: each does the real thing and notes what is not on the disk yet.

    def open(self, paths, path, flags, *rest, **keywords):
        there = os.path.exists(paths[0])
        descriptor = self.real["open"](path, flags, *rest, **keywords)
        inode = os.fstat(descriptor).st_ino
        self.synced.setdefault(inode, os.fstat(descriptor).st_size)
        if not there:
            self.changed(paths[0], self.real["unlink"])
        return descriptor

    def write(self, _, descriptor, data):
        return self.real["write"](descriptor, data)

    def fsync(self, paths, descriptor):
        self.real["fsync"](descriptor)
        if os.path.isdir(paths[0]):
            self.undo = [change for change in self.undo if change.folder != paths[0]]
        else:
            facts = os.fstat(descriptor)
            self.synced[facts.st_ino] = facts.st_size

    def rename(self, paths, *arguments, **keywords):
        source, target = paths
        kept = self.put_away(target) if os.path.isfile(target) else None
        self.real["rename"](*arguments, **keywords)

        self.follow(source, target)

        def back(path):
            self.real["rename"](path, source)
            self.follow(path, source)
            if kept is not None:
                self.real["rename"](kept, path)

        self.changed(target, back)

    def follow(self, source, target):
        for change in self.undo:
            change.moved(source, target)

    def mkdir(self, paths, *arguments, **keywords):
        self.real["mkdir"](*arguments, **keywords)
        self.changed(paths[0], shutil.rmtree)

    def unlink(self, paths, *arguments, **keywords):
        kept = self.put_away(paths[0]) if os.path.exists(paths[0]) else None
        self.real["unlink"](*arguments, **keywords)
        self.changed(paths[0], lambda path: self.real["rename"](kept, path))

    def rmdir(self, paths, *arguments, **keywords):
        self.real["rmdir"](*arguments, **keywords)
        self.changed(paths[0], self.real["mkdir"])


def _path(path, dir_fd=None):
    folder = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else os.getcwd()
    return os.path.join(folder, os.fspath(path))


def _opened_for_writing(path, flags, *_, dir_fd=None, **__):
    return [_path(path, dir_fd)] if flags & (os.O_WRONLY | os.O_RDWR) else []


def _open_file(descriptor, *_):
    return [os.readlink(f"/proc/self/fd/{descriptor}")]


def _one(path, *_, dir_fd=None, **__):
    return [_path(path, dir_fd)]


def _two(source, target, **_):
    return [_path(source), _path(target)]


EFFECTS = {
    "open": (Disk.open, _opened_for_writing),
    "write": (Disk.write, _open_file),
    "fsync": (Disk.fsync, _open_file),
    "rename": (Disk.rename, _two),
    "replace": (Disk.rename, _two),
    "mkdir": (Disk.mkdir, _one),
    "unlink": (Disk.unlink, _one),
    "rmdir": (Disk.rmdir, _one),
}
