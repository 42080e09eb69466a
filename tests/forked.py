"""Runs commands as a user does, each in a process of its own, without loading them each time.

A server loads the program, and the libraries that it loads late, once; each command is a fork of
it with its own arguments, folder, environment and output, which ends as any interpreter does. That
takes a twentieth of a second where a start from nothing takes one, or five with torch.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from fork_servers import fork_servers_from_here

_LIBRARIES = ("torch._dynamo", "sklearn.linear_model", "sklearn.pipeline", "matplotlib.pyplot")
_LONGEST_MESSAGE = 1 << 20


class Forked:
    """The client: one server per process of pytest, started when the first command comes."""

    def __init__(self):
        self._channel = None

    def run(self, arguments, cwd, timeout=120, environment=None, umask=None, program="sweep"):
        """Run a command to its end; as `subprocess.run(…, capture_output=True, text=True)`.

        `program` is `sweep` or, for `python -m byol_core`, `byol_core`.
        """
        if self._channel is None:
            self._start()
        outputs = [os.memfd_create("stdout"), os.memfd_create("stderr")]
        nothing = os.open(os.devnull, os.O_RDONLY)
        request = {
            "program": program,
            "argv": list(map(str, arguments)),
            "cwd": str(cwd),
            "environment": dict(os.environ if environment is None else environment),
            "umask": umask,
        }
        socket.send_fds(self._channel, [json.dumps(request).encode()], [nothing, *outputs])
        os.close(nothing)
        pid = self._answer(None)
        try:
            status = self._answer(timeout)
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._answer(None)
            raise subprocess.TimeoutExpired(arguments, timeout) from None
        stdout, stderr = map(_content, outputs)
        return subprocess.CompletedProcess(arguments, status, stdout, stderr)

    def close(self):
        if self._channel is not None:
            self._channel.close()
            self._server.wait()

    def _start(self):
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
        )
        theirs.close()

    def _answer(self, timeout):
        self._channel.settimeout(timeout)
        return json.loads(self._channel.recv(_LONGEST_MESSAGE))


def _content(descriptor):
    with os.fdopen(descriptor, encoding="utf-8") as file:
        file.seek(0)
        return file.read()


def _serve(channel):
    """Fork for each request; return in the child, as the command that it is to be."""
    while True:
        message, descriptors, *_ = socket.recv_fds(channel, _LONGEST_MESSAGE, 3)
        if not message:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            channel.close()
            return _become(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(json.dumps(pid).encode())
        _, status = os.waitpid(pid, 0)
        channel.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _become(request, descriptors):
    fork_servers_from_here()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["umask"] is not None:
        os.umask(request["umask"])
    sys.argv = [request["program"], *request["argv"]]
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _load():
    """Import all that a command may import, late or not; what is broken the command itself meets."""
    import analysis
    import orchestrator

    names = [*_LIBRARIES]
    for package in (orchestrator, analysis):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            names.append(module.name)
    for name in names:
        if not name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    orchestrator.provenance.packages.installed_packages()  # it is kept, for each run to record


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    _load()
    _serve(socket.socket(fileno=int(sys.argv[1])))
    if sys.argv[0] == "sweep":
        from orchestrator.cli.start import main

        main()
    else:
        from byol_core.__main__ import main

        sys.exit(main())
