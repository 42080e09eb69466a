"""Each guard is there for a reason: take it away, in a copy, and a test fails. Run by `make
crash-test` (marker exhaustive).
"""

import os
import shutil
import subprocess
import sys

import pytest
from conftest import REPO

DURABLE, RECORDS = "byol_core/files/durable.py", "byol_core/files/records.py"
POWER, STORE, COLLECT, FILES, REBUILD = (
    f"tests/test_{name}.py"
    for name in (
        "power_loss",
        "orchestrator_store",
        "orchestrator_collect",
        "files",
        "orchestrator_rebuild",
    )
)

# What is taken away: file, text, what stands there instead, the test that must notice, and which of its cases.
MUTATIONS = {
    "sync of a file before its rename": (
        DURABLE,
        "                write_all(descriptor, content)\n                os.fsync(descriptor)\n",
        "                write_all(descriptor, content)\n",
        POWER,
        "json_file",
    ),
    "sync of the folder after a rename": (
        DURABLE,
        "        aside.unlink(missing_ok=True)\n        raise\n    sync_folder(path.parent)\n",
        "        aside.unlink(missing_ok=True)\n        raise\n",
        POWER,
        "json_file",
    ),
    "writing aside": (
        DURABLE,
        'aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")\n    try:',
        "aside = path\n    try:",
        POWER,
        "replacing",
    ),
    "sync of the folder after a claim": (
        DURABLE,
        "            return False\n        raise\n    sync_folder(path.parent)\n",
        "            return False\n        raise\n",
        POWER,
        "claim",
    ),
    "sync of what is published": (
        DURABLE,
        "        _sync(inside)\n",
        "        pass\n",
        POWER,
        "published",
    ),
    "sync of the published folder itself": (DURABLE, "    _sync(aside)\n", "", POWER, "published"),
    "sync after publishing": (
        DURABLE,
        "    aside.rename(path)\n    sync_folder(path.parent)\n\n\ndef remove",
        "    aside.rename(path)\n\n\ndef remove",
        POWER,
        "published",
    ),
    "sync of new folders": (
        DURABLE,
        "        sync_folder(made.parent)\n",
        "        pass\n",
        POWER,
        "made_folder",
    ),
    "sync of durable records": (
        RECORDS,
        "        os.fsync(self._descriptor)\n",
        "",
        POWER,
        "record",
    ),
    "sync of a new log's name": (
        RECORDS,
        "        if is_new:\n            sync_folder(path.parent)\n",
        "",
        POWER,
        "record",
    ),
    "sync on close": (
        RECORDS,
        "        try:\n            self.sync()\n",
        "        try:\n            pass\n",
        POWER,
        "closed_log",
    ),
    "sync of the series before a checkpoint": (
        "orchestrator/executors/worker.py",
        "        self.log.sync()\n",
        "",
        POWER,
        "series_before",
    ),
    "sync of metrics every few seconds": (
        RECORDS,
        "if durable or time.monotonic() - self._synced_s >= self._sync_every_s:",
        "if durable:",
        FILES,
        "few_seconds",
    ),
    "new segment after an error": (
        RECORDS,
        "            self._failed = True\n        self._start_segment()\n",
        "            raise\n",
        FILES,
        "new_segment",
    ),
    "records repeated in a new segment": (
        RECORDS,
        "        for line in self._unsynced:\n            self._write(line)\n",
        "",
        FILES,
        "new_segment",
    ),
    "checksum": (RECORDS, "    if tail != b", "    if not tail and b", FILES, "flipped"),
    "the durable last word": (
        "orchestrator/executors/worker.py",
        '"reason": reason}, durable=True)',
        '"reason": reason})',
        POWER,
        "at_once",
    ),
    "the durable checkpoint record": (
        "orchestrator/executors/worker.py",
        '"step": step}, durable=True)',
        '"step": step})',
        POWER,
        "at_once",
    ),
    "the fence": (
        "orchestrator/executors/worker.py",
        "            raise OutrunError\n",
        "            pass\n",
        STORE,
        "outrun or overtaken",
    ),
    "the exclusive claim": (
        DURABLE,
        "            return False\n",
        "            return True\n",
        FILES,
        "one_of_many",
    ),
    "ignoring points that are there": (
        "orchestrator/database/write_rows.py",
        "INSERT OR IGNORE INTO",
        "INSERT INTO",
        REBUILD,
        "repeated",
    ),
    "updating attempts that are there": (
        "orchestrator/database/write_rows.py",
        "statement.on_conflict_do_update(index_elements=keys, set_=changes)",
        "statement",
        COLLECT,
        "every_byte",
    ),
    "the cursor": (
        "orchestrator/database/read_run.py",
        'row["events_segment"], row["events_offset"] = reader.cursor',
        "pass",
        COLLECT,
        "damaged_lines",
    ),
    "one transaction": (
        "orchestrator/database/connect.py",
        '"BEGIN IMMEDIATE"',
        '"SELECT 1"',
        REBUILD,
        "dies",
    ),
    "looking again while a log has no end": (
        "orchestrator/database/collect.py",
        "stamp if _is_settled(rows, stamp) else",
        "stamp if True else",
        REBUILD,
        "shows_up_after",
    ),
    "looking again at what changed just now": (
        "orchestrator/database/collect.py",
        "time.time_ns() - _COARSEST_NS",
        "time.time_ns()",
        COLLECT,
        "coarse_clock",
    ),
    "one collector at a time": (
        "orchestrator/database/collect.py",
        "fcntl.flock(descriptor,",
        "print(",
        COLLECT,
        "collector",
    ),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MUTATIONS)
def test_without_it_a_test_fails(tmp_path, name):
    file, text, instead, test, cases = MUTATIONS[name]
    for part in ("byol_core", "orchestrator", "analysis", "tests", "sweeps"):
        shutil.copytree(REPO / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "pyproject.toml", tmp_path)
    source = (tmp_path / file).read_text()
    assert source.count(text) == 1, (
        f"{file}: the text to take away is there {source.count(text)} times"
    )
    (tmp_path / file).write_text(source.replace(text, instead))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        test,
        "-k",
        cases,
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == 1, (
        f"without {name} every test passes:\n{done.stdout[-1500:]}{done.stderr[-500:]}"
    )
