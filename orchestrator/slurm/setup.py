"""Makes a job stop at the first of its setup lines that fails, before its run begins.

Otherwise a run would train without its module or its environment, and die of something else.
"""

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence

_CHECK = """\
sweep_setup=$?; if [ "$sweep_setup" != 0 ]; then \
echo {message}" (exit status $sweep_setup)" >&2; exit 1; fi"""


def checked(lines: Sequence[str]) -> Iterator[str]:
    """Yield each line with a check behind it; what spans several lines is checked as a whole."""
    together: list[str] = []
    for line in lines:
        yield line
        together.append(line)
        text = "\n".join(together)
        if _is_complete(text):
            message = f"setup line failed, so the run was not begun: {text}"
            yield _CHECK.format(message=shlex.quote(message))
            together = []


def _is_complete(text: str) -> bool:
    """Tell whether bash takes a text as whole commands."""
    if text.endswith("\\"):
        return False  # the next line goes on from it
    try:
        done = subprocess.run(
            ["bash", "-n", "-c", text], capture_output=True, env={**os.environ, "LC_ALL": "C"}
        )
    except FileNotFoundError:
        return False
    return done.returncode == 0 and not done.stderr  # it only warns of a missing end of a heredoc
