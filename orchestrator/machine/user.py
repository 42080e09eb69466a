"""Names the user who runs this program."""

import os
import pwd


def user_name() -> str:
    """Return the login name of the process's user; its number where the system has no name for it.

    The name is the system's, not that of $USER, which anybody may set.
    """
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"user {os.getuid()}"
