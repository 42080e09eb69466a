"""What can go wrong, as types. Each error's text names the value, what is allowed and the next
step; only the command line turns errors into text and exit statuses.
"""


class SweepError(Exception):
    """Base of all errors that a user can meet.

    Attributes:
        exit_status: of the `sweep` command.
    """

    exit_status = 1


class UsageError(SweepError):
    """An argument, name or value that is not allowed."""

    exit_status = 2


class SpecError(UsageError):
    """A spec that cannot be launched; the text starts with file and line where there is one."""


class MissingDataError(SweepError):
    """The images a sweep needs are not there; nothing was submitted."""

    exit_status = 2


class RootLockedError(SweepError):
    """Another launcher works on this root."""

    exit_status = 75


class StoreError(SweepError):
    """Run files or database cannot be read or written."""


class OldSchemaError(StoreError):
    """A database of an older version of this program; it is to be made again from the runs."""


class SchedulerError(SweepError):
    """SLURM refused, is missing or did not answer."""


class BrokenSweepError(SweepError):
    """The first runs of a sweep failed before they trained; the rest was not started."""


class SchedulerSilentError(SchedulerError):
    """SLURM did not answer: what it was asked for may have happened, may happen yet, or not."""
