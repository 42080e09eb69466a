"""Defines what can go wrong, as types.

Each error's text names the value, what is allowed and the next step; only the command line turns
errors into text and exit statuses.
"""


class SweepError(Exception):
    """Serves as the base of all errors that a user can meet.

    Attributes:
        exit_status: of the `sweep` command.
    """

    exit_status = 1


class UsageError(SweepError):
    """Says that an argument, name or value is not allowed."""

    exit_status = 2


class SpecError(UsageError):
    """Says why a spec cannot be launched; the text starts with its file and line, if known."""


class MissingDataError(SweepError):
    """Says that images which a sweep needs are not there; nothing was submitted."""

    exit_status = 2


class RootLockedError(SweepError):
    """Says that another launcher works on this root."""

    exit_status = 75


class StoreError(SweepError):
    """Says that run files or the database cannot be read or written."""


class BusyError(StoreError):
    """Says that another program holds the database."""


class OldSchemaError(StoreError):
    """Says that an older version of this program made the database; the runs make it again."""


class NewSchemaError(StoreError):
    """Says that a newer version of this program made the database; this one leaves it alone."""


class SchedulerError(SweepError):
    """Says that SLURM refused, is missing or did not answer."""


class BrokenSweepError(SweepError):
    """Says that the first runs of a sweep failed before they trained; the rest was not started."""


class SchedulerSilentError(SchedulerError):
    """Says that SLURM did not answer: what it was asked for may have happened, or may yet."""
