"""Reads the durations that SLURM's commands print: time limits, time left, grace times."""


def seconds_of(printed: str) -> float | None:
    """Return the seconds of a printed duration; None for what is none, such as `infinite`.

    SLURM prints `2-00:00:00` (days first), `4:00:00`, `30:00`, and in its configuration `30 sec`
    or a plain number of seconds.
    """
    days, dash, clock = printed.strip().removesuffix("sec").rstrip().rpartition("-")
    parts = clock.split(":")
    if dash:
        parts += ["0"] * (3 - len(parts))  # hours come first behind days: D-HH, D-HH:MM
    else:
        days = "0"
    if len(parts) > 3 or not all(part.isdecimal() for part in [days, *parts]):
        return None

    seconds = 0
    for part in parts:
        seconds = 60 * seconds + int(part)
    return float(86400 * int(days) + seconds)
