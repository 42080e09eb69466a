"""One run seen from near: `sweep show` and `sweep logs`. Reads the run's folder alone."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from byol_core.config import PRESETS, canonical, resolve
from byol_core.files import RecordReader, read_json
from orchestrator.root import AttemptFolder, RunFolder
from orchestrator.states import ACTIVE, Queue, Standing, standing

_FOLLOW_S = 0.5


def describe(run: RunFolder, where: Standing) -> dict[str, Any]:
    """Return all that is known of a run, as `sweep show --json` prints it."""
    description = run.describe()
    done = read_json(run.attempt(where.attempt).done) if where.attempt else None
    return {
        "run_id": run.run_id,
        "state": where.state.value,
        "outcome": where.outcome,
        "reason": where.reason,
        "folder": str(run.path),
        "config": description["config"],
        "data": description["data"],
        "semantics": description["semantics"],
        "attempts": [_attempt(attempt) for attempt in run.attempts()],
        "result": done,
        "evaluations": list(run.evaluations()),
    }


def unlike_preset(run: RunFolder) -> tuple[str, dict[str, Any]]:
    """Return the preset closest to the run's config, and what differs from it."""
    config = canonical(run.config())
    differences = {}
    for name in PRESETS:
        preset = canonical(resolve(name, {}))
        differences[name] = {key: value for key, value in config.items() if value != preset[key] and value is not None}
    closest = min(differences, key=lambda name: len(differences[name]))
    return closest, differences[closest]


def log_lines(run: RunFolder, follow: bool, queue: Callable[[], Queue]) -> Iterator[str]:
    """Yield what a run's last attempt recorded and printed; with `follow`, until the run ends."""
    attempts = run.attempts()
    if not attempts:
        yield "no attempt yet"
        return
    attempt = attempts[-1]
    reader = RecordReader(attempt.events)
    tails = [_Tail(attempt, name) for name in ("stdout", "stderr")]
    while True:
        active = follow and standing(run, queue()).state in ACTIVE
        yield from (_line(record) for record in reader)
        for tail in tails:
            yield from tail.lines()
        yield from (f"(a damaged line at byte {damage.offset} was skipped: {damage.reason})" for damage in reader.damage)
        reader.damage.clear()
        if not active:
            return
        time.sleep(_FOLLOW_S)


class _Tail:
    """Reads a growing text file piece by piece."""

    def __init__(self, attempt: AttemptFolder, name: str) -> None:
        self.file = attempt.path / name
        self.name = name
        self.offset = 0

    def lines(self) -> Iterator[str]:
        try:
            with self.file.open("rb") as handle:
                handle.seek(self.offset)
                text = handle.read()
        except FileNotFoundError:
            return
        self.offset += len(text)
        yield from (f"{self.name}: {line}" for line in text.decode(errors="replace").splitlines())


def _attempt(attempt: AttemptFolder) -> dict[str, Any]:
    records = list(RecordReader(attempt.events))
    start = next((record for record in records if record["type"] == "start"), {})
    end = next((record for record in records if record["type"] == "end"), {})
    return {
        "number": attempt.number,
        "claim": read_json(attempt.claim),
        "first_step": start.get("step"),
        "exact": start.get("exact"),
        "origin": start.get("origin"),
        "state": end.get("state"),
        "reason": end.get("reason"),
    }


def _line(record: dict[str, Any]) -> str:
    when = time.strftime("%H:%M:%S", time.localtime(record["t"]))
    if record["type"] == "metrics":
        values = "  ".join(f"{name} {value:.4g}" for name, value in record["metrics"].items())
        return f"{when}  step {record['step']}  epoch {record['epoch']}  {values}  {record['images_per_s']:,.0f} images/s"
    rest = {key: value for key, value in record.items() if key not in ("t", "seq", "type", "origin")}
    return f"{when}  {record['type']}  {json.dumps(rest, ensure_ascii=False)}"
