"""Tells a command of the user's, and a webhook, how a sweep ended.

Both get the outcome as JSON, the command on its standard input and the webhook as the body of a
POST. The webhook's address is a secret: it comes from $SWEEP_WEBHOOK, is stored nowhere, and only
its host is ever shown.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from orchestrator.status.run_status import GROUPS
from orchestrator.status.sweep_status import SweepStatus
from orchestrator.status.verdict import summary

VARIABLE = "SWEEP_WEBHOOK"
_COMMAND_S = 60.0
_WEBHOOK_S = 15.0


def outcome(status: SweepStatus, exit_status: int, stopped: str | None = None) -> dict[str, Any]:
    """Return what hooks are told.

    Args:
        status: of the sweep, as it ended.
        exit_status: of the launch that waited for it.
        stopped: why it stopped early; None where it did not.

    Returns:
        `text` is one line for people, under the key that chat services show; the rest is for
        programs.
    """
    text = f"{status.label}: {summary(status)}"
    if stopped:
        text += f" ({stopped})"
    groups = status.groups()
    return {
        "text": text,
        "sweep": status.label,
        "ok": exit_status == 0,
        "exit_status": exit_status,
        "stopped": stopped,
        "groups": {group: groups[group] for group in GROUPS},
        "hours_used": status.usage.hours,
        "unit": status.usage.unit,
    }


def fire(
    facts: Mapping[str, Any], command: str | None, environment: Mapping[str, str] = os.environ
) -> Iterator[str]:
    """Call the hooks that are set, and yield a sentence for each that failed.

    That is no failure of the sweep.

    Args:
        facts: how the sweep ended, as `outcome` returns it.
        command: for the shell; None for none.
        environment: holds the webhook's address, if there is one.
    """
    body = json.dumps(facts).encode()
    failures = {
        "--on-end": run_command(command, body),
        f"${VARIABLE}": _post(environment.get(VARIABLE), body),
    }
    for hook, failure in failures.items():
        if failure is not None:
            yield f"{hook}: {failure}; the sweep itself is not affected"


def run_command(command: str | None, body: bytes) -> str | None:
    """Run a command of the user's with `body` on its standard input; return what went wrong."""
    if not command:
        return None
    try:
        process = subprocess.run(
            command, shell=True, input=body, capture_output=True, timeout=_COMMAND_S
        )
    except subprocess.TimeoutExpired:
        return f"{command!r} did not end within {_COMMAND_S:g} s"
    if process.returncode == 0:
        return None
    last_words = " ".join(process.stderr.decode(errors="replace").split())[-200:]
    return f"{command!r} failed with exit status {process.returncode}: {last_words}"


def _post(url: str | None, body: bytes) -> str | None:
    """Send the outcome to the webhook; return what went wrong, without the address."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return "is no http or https address"
        request = Request(url, body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=_WEBHOOK_S):
            return None
    except ValueError:  # its text holds parts of the address
        return "is no http or https address"
    except OSError as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        return f"{parts.hostname} did not take it: {reason}"
