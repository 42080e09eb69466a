"""Records which packages are installed, once for each set of them, below the root.

An attempt's origin names the set by its digest; ``packages/<digest>.txt`` holds it in the form that
`pip install -r` reads.
"""

import hashlib
from functools import cache
from importlib.metadata import distributions

from byol_core.files import make_folder, write_atomic
from orchestrator.store.root import Root


@cache
def installed_packages() -> str:
    """Return every installed package as a line `name==version`, sorted."""
    # A broken installation has no name; of two with one name, the first is imported.
    versions: dict[str, str] = {}
    for distribution in distributions():
        facts = distribution.metadata  # each look at it, or at name and version, parses a file
        if "Name" in facts and "Version" in facts:
            versions.setdefault(facts["Name"], facts["Version"])
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    return "".join(lines)


def record_packages(root: Root) -> str:
    """Keep the list of the installed packages below the root, once; return its sha256."""
    content = installed_packages().encode()
    digest = hashlib.sha256(content).hexdigest()
    file = root.packages(digest)
    if not file.exists():
        make_folder(file.parent)
        write_atomic(file, content)
    return digest
