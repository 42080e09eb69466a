"""Takes the digests of the files that a run's result stands in."""

import hashlib

from orchestrator.store.root import RunFolder


def result_digests(run: RunFolder, attempt: int, protocol: str, version: int) -> dict[str, str]:
    """Return path in the run's folder → sha256, of those files that are there.

    Args:
        run: the folder.
        attempt: the number of the one that counts; 0 before the first.
        protocol: by which the run was judged.
        version: of that protocol.
    """
    files = [
        run.description,
        run.attempt(attempt).done,
        run.path / "evaluations" / f"{protocol}-v{version}.json",
    ]
    digests: dict[str, str] = {}
    for file in files:
        if file.is_file():
            content = file.read_bytes()
            digests[str(file.relative_to(run.path))] = hashlib.sha256(content).hexdigest()
    return digests
