"""Reads exit codes: SLURM's STATUS:SIGNAL, as in "1:0" or "0:9", and those of processes here."""

import errno
import os
import signal

_WARNINGS = frozenset({signal.SIGUSR2, signal.SIGTERM})
"""Signals by which SLURM warns before a time limit or a preemption."""

_NO_OUTPUT = 53
"""What SLURM calls a job whose output files it cannot open (seen with 22.05)."""

DISK_FAILED = os.EX_IOERR
"""The exit status of a worker that could not write its last word."""
_ERRORS_OF_THE_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_NOT_WRITTEN = "its files could not be written: is the disk full, over its quota or read-only?"


def is_of_the_disk(error: BaseException) -> bool:
    """Tell whether an error is a full or failing disk's, and so not its run's fault."""
    return isinstance(error, OSError) and error.errno in _ERRORS_OF_THE_DISK


def in_words(code: str) -> str:
    """Put an exit code in words for the user."""
    number = _signal_of(code)
    if number == signal.SIGKILL:
        return "killed, perhaps for its memory"
    if number in _WARNINGS:
        return "warned before it could listen"
    if number == _NO_OUTPUT:
        return "SLURM could not open its output files: is their folder there, and writable?"
    if number:
        return f"ended by signal {number}"
    if could_not_write(code):
        return _NOT_WRITTEN
    return f"exit status {code.partition(':')[0]}"


def of_process(status: int) -> str:
    """Tell how a process of this machine ended: a signal is a negative status, as in Python."""
    if status == -signal.SIGKILL:
        return "was killed (SIGKILL), perhaps for its memory"
    if status < 0:
        names = {int(number): number.name for number in signal.Signals}
        return f"died of {names.get(-status, f'signal {-status}')}"
    if status == DISK_FAILED:
        return f"ended: {_NOT_WRITTEN}"
    return f"ended with exit status {status} and without a word"


def could_not_write(code: str) -> bool:
    """Tell whether a job ended as a worker does that cannot write its last word."""
    return code.partition(":")[0] == str(DISK_FAILED)


def is_warning(code: str) -> bool:
    """Tell whether a job died of the signal by which SLURM warns it."""
    return _signal_of(code) in _WARNINGS


def _signal_of(code: str) -> int:
    """Return the signal that ended a job, 0 for none."""
    status_text, _, signal_text = code.partition(":")
    if signal_text.isdecimal() and int(signal_text):
        return int(signal_text)
    if not status_text.isdecimal():
        return 0

    # A shell calls signal 12 status 140.
    status = int(status_text)
    if status > 128:
        return status - 128

    # srun, which hands on how its task ended, calls it status 12 (seen with 22.05).
    if status in _WARNINGS | {signal.SIGKILL}:
        return status
    return 0
