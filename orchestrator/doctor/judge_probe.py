"""Judges the report of the probe job on its node, beside what is known here."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.doctor.files import file_clock_offset_s
from orchestrator.doctor.finding import Finding, fail, ok, warn

_SKEW_S = 5.0
_SLOW_S = 10.0
_LOW_BYTES = 5e9


def read_report(
    report: Mapping[str, Any], job_id: str, gpus: int, seen_at: float, folder: Path
) -> Iterator[Finding]:
    """Yield a finding for everything in a probe's report.

    Args:
        report: what the probe wrote.
        job_id: of the probe.
        gpus: that it asked for.
        seen_at: when the report came into sight here, in seconds since 1970 by this machine's
            clock.
        folder: of the probe.
    """
    yield ok("probe job", f"job {job_id} ran on {report['host']} and came back")
    yield code(report)
    yield seen_gpus(report["training"]["gpus"], gpus)
    yield data(report["missing_data"])
    yield lock(report["lock_is_free"])

    # The clock that stamps files is the same for both, so the two offsets tell the clocks apart.
    here_s = file_clock_offset_s(folder)
    there_s = report["file_clock_offset_s"]
    yield clocks(here_s - there_s)
    yield sight(seen_at + here_s - report["written_at"] - there_s)

    yield scratch(report["tmp"])


def code(report: Mapping[str, Any]) -> Finding:
    """Tell whether a job can import what a run imports."""
    source = report["code"]
    training = report["training"]
    if training["error"] is not None:
        return fail(
            "code in a job",
            f"{source}: {training['error']}",
            "make Python and its packages visible there, or add setup lines",
        )
    return ok("code in a job", f"imported from {source}, torch {training['torch']}")


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
    if tmp["free_bytes"] < _LOW_BYTES:
        return warn("node's disk", text, "set TMPDIR to a larger one")
    return ok("node's disk", text)
