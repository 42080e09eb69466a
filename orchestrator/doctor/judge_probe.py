"""Judges what the probe job found on its node, beside what is known here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.doctor.files import file_clock_offset_s
from orchestrator.doctor.finding import Finding, fail, ok, warn

_SKEW_S, _SLOW_S, _LOW_BYTES = 5.0, 10.0, 5e9


def read_report(
    found: Mapping[str, Any], job_id: str, gpus: int, seen_at: float, folder: Path
) -> Iterator[Finding]:
    """Yield a finding for everything in a probe's report.

    Args:
        found: the report.
        job_id: of the probe.
        gpus: that it asked for.
        seen_at: when the report came into sight here, in seconds since 1970 by this machine's
            clock.
        folder: of the probe.
    """
    yield ok("probe job", f"job {job_id} ran on {found['host']} and came back")
    yield code(found)
    yield seen_gpus(found["training"]["gpus"], gpus)
    yield data(found["missing_data"])
    yield lock(found["lock_is_free"])
    here_s, there_s = file_clock_offset_s(folder), found["file_clock_offset_s"]
    yield clocks(here_s - there_s)
    yield sight(seen_at + here_s - found["written_at"] - there_s)
    yield scratch(found["tmp"])


def code(found: Mapping[str, Any]) -> Finding:
    """Tell whether a job can import what a run imports."""
    error = found["training"]["error"]
    if error is not None:
        return fail(
            "code in a job",
            f"{found['code']}: {error}",
            "make Python and its packages visible there, or add setup lines",
        )
    return ok("code in a job", f"imported from {found['code']}, torch {found['training']['torch']}")


def seen_gpus(seen: int, wanted: int) -> Finding:
    """Compare the GPUs that torch sees in the job with those that it asked for."""
    text = f"torch sees {seen} of {wanted} asked for"
    if seen < wanted:
        return fail(
            "GPUs in a job",
            text,
            "check the partition, and that torch was built for the node's driver (nvidia-smi)",
        )
    return ok("GPUs in a job", text)


def data(missing: list[str]) -> Finding:
    """Tell whether the spec's images are where the job looks for them."""
    if missing:
        return fail(
            "data in a job",
            "; ".join(missing),
            "set $SWEEP_DATA to a folder that nodes see, and fetch the data there",
        )
    return ok("data in a job", "all there")


def lock(is_free: bool | None) -> Finding:
    """Tell whether a lock held here is seen on the node."""
    if is_free is None:
        return warn("locks across nodes", "the node refuses locks", "launch from one node only")
    if is_free:
        return warn(
            "locks across nodes",
            "a lock held here is free there",
            "launch from one node only: two would not see each other",
        )
    return ok("locks across nodes", "a lock held here is held there too")


def clocks(ahead_s: float) -> Finding:
    """Compare the node's clock with this machine's, both against the clock that stamps files."""
    text = f"the node's is {ahead_s:+.1f} s from this machine's"
    if abs(ahead_s) > _SKEW_S:
        return warn(
            "clocks", text, "times and hours in `sweep status` will be off; tell your site (ntp)"
        )
    return ok("clocks", text)


def sight(delay_s: float) -> Finding:
    """Tell how long a file of the node takes to be seen here."""
    text = f"a file of the node is seen here after {max(0.0, delay_s):.1f} s"
    if delay_s > _SLOW_S:
        return warn("file sight", text, "progress lags by as much; nothing is lost")
    return ok("file sight", text)


def scratch(tmp: Mapping[str, Any]) -> Finding:
    """Look at the node's own disk."""
    text = f"{tmp['path']} has {tmp['free_bytes'] / 1e9:,.1f} GB free"
    return (
        warn("node's disk", text, "set TMPDIR to a larger one")
        if tmp["free_bytes"] < _LOW_BYTES
        else ok("node's disk", text)
    )
