"""The arrows between the packages and the floors inside them, held by reading every import, also
those in functions.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
OURS = {"byol_core", "orchestrator", "analysis"}

# The floors of each package, from the ground up: what stands on one imports from lower ones only (docs/parts.md).
FLOORS = {
    "byol_core": [
        ["streams", "files", "points", "protocols", "plugins", "device", "allocator"],
        ["config", "precision"],
        ["kept_networks"],
        ["datasets"],
        ["augment"],
        ["images"],
        ["networks", "losses"],
        ["metrics", "optim", "evaluation"],
        ["train"],
        ["__main__"],
    ],
    "orchestrator": [
        ["machine", "errors", "text"],
        ["store", "spec"],
        ["database", "slurm", "provenance"],
        ["status", "executors"],
        ["launch"],
        ["doctor"],
        ["cli"],
        ["api"],
    ],
    "analysis": [
        ["errors"],
        ["papers"],
        ["results"],
        ["tables"],
        ["render", "figures", "trail"],
        ["report", "export", "manifest", "formats"],
        ["page"],
        ["load"],
    ],
}

# What each package may import of the two others; by module where it is one module's right alone.
ALLOWED = {
    "byol_core": set(),
    "orchestrator": {
        "byol_core.config",
        "byol_core.datasets",
        "byol_core.files",
        "byol_core.kept_networks",
        "byol_core.plugins",
        "byol_core.points",
        "byol_core.protocols",
    },
    "analysis": {
        "orchestrator.database.address",
        "orchestrator.database.schema",
        "orchestrator.store.settings",
        "byol_core.files",
        "byol_core.protocols",
    },
}
EXTRA = {
    "orchestrator.executors.worker": {"byol_core.device", "byol_core.train"},
    "orchestrator.executors.cut": {"byol_core.train"},
    "orchestrator.executors.warm": {"byol_core.train"},
    "orchestrator.executors.held_data": {"byol_core.images"},
    "orchestrator.launch.selection": {"analysis.papers"},
    "orchestrator.cli": {"analysis"},
}

# Loads no torch, pandas or matplotlib.
LIGHT = {
    "byol_core.config",
    "byol_core.datasets",
    "byol_core.datasets.fetch",
    "byol_core.datasets.locate",
    "byol_core.files",
    "byol_core.kept_networks",
    "byol_core.plugins",
    "byol_core.points",
    "orchestrator.database.address",
    "orchestrator.database.schema",
    "orchestrator.store.settings",
    "analysis",
    "analysis.papers.rows",
    "analysis.tables.collapse",
    "analysis.results.relations",
    "analysis.export.files",
}


def modules():
    for package in sorted(OURS):
        for file in sorted((REPO / package).rglob("*.py")):
            yield (
                ".".join(file.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__"),
                file,
            )


def imports(file):
    """Yield the line number and the module of every import of ours; of a name in a package, the
    module that it is.
    """
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, alias.name)
                for alias in node.names
                if alias.name.split(".")[0] in OURS
            )
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide arrows"
            if node.module.split(".")[0] in OURS:
                yield from (
                    (node.lineno, module_of(node.module, alias.name)) for alias in node.names
                )


def module_of(module, name):
    """Return `module.name` where that is a module, as in `from orchestrator.store import intents`,
    else `module`.
    """
    path = REPO / module.replace(".", "/") / name
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").exists() else module


def floor_of(name):
    """Return the floor of a module, 1 at the bottom; None for a package itself."""
    package, _, rest = name.partition(".")
    room = rest.partition(".")[0]
    floors = [number for number, rooms in enumerate(FLOORS[package], start=1) if room in rooms]
    assert floors or not room, f"{name}: {room} has no floor in tests/test_architecture.py"
    return floors[0] if floors else None


def wrong_imports(name, file):
    """Yield what a module imports and must not, as FILE:LINE and the reason."""
    package = name.split(".")[0]
    rights = ALLOWED[package] | {
        right for module, more in EXTRA.items() if below(name, [module]) for right in more
    }
    for line, target in imports(file):
        if target.split(".")[0] != package:
            if not below(target, rights):
                yield (
                    f"{file}:{line}: {name} imports {target}; it may import "
                    f"{', '.join(sorted(rights)) or 'none of ours'}"
                )
        elif (
            name != package
            and target != package
            and room_of(target) != room_of(name)
            and floor_of(target) >= floor_of(name)
        ):
            yield f"{file}:{line}: {name} (floor {floor_of(name)}) imports {target} (floor {floor_of(target)})"


def room_of(name):
    return ".".join(name.split(".")[:2])


def below(name, allowed):
    return any(name == module or name.startswith(module + ".") for module in allowed)


@pytest.mark.parametrize(("name", "file"), list(modules()))
def test_imports_go_to_lower_floors_and_to_what_others_may_import(name, file):
    assert not list(wrong_imports(name, file))


@pytest.mark.parametrize(
    ("name", "line", "wrong"),
    [
        ("orchestrator.store.root", "from orchestrator.launch.plan import make_plan", True),
        ("orchestrator.slurm.submit", "from orchestrator import database", True),
        ("orchestrator.slurm.submit", "import orchestrator.database.connect", True),
        ("orchestrator.slurm.submit", "from orchestrator.slurm import arrays", False),
        ("orchestrator.launch.plan", "from orchestrator.store import intents", False),
        ("orchestrator.launch.plan", "from byol_core.train import train", True),
        ("orchestrator.executors.worker", "from byol_core.train import train", False),
        ("analysis.results.runs", "from orchestrator.database import schema", False),
        ("analysis.results.runs", "from orchestrator.database import connect", True),
        ("byol_core.config.resolve", "from byol_core.datasets.locate import locate", True),
        ("byol_core.images.load", "from byol_core.datasets.locate import locate", False),
    ],
)
def test_the_walk_sees_imports_inside_functions_and_their_floors(tmp_path, name, line, wrong):
    file = tmp_path / "hidden.py"
    file.write_text(f"def f():\n    {line}\n")
    found = list(wrong_imports(name, file))
    assert bool(found) is wrong
    assert not wrong or found[0].startswith(f"{file}:2: {name}")


@pytest.mark.parametrize("package", sorted(FLOORS))
def test_every_room_has_a_floor_says_what_it_holds_and_stays_small(package):
    rooms = {
        path for path in (REPO / package).rglob("*") if path.is_dir() and list(path.glob("*.py"))
    } | {REPO / package}
    for room in rooms:
        files = [
            file.stem for file in room.glob("*.py") if file.stem not in ("__init__", "__main__")
        ]
        assert len(files) <= 18, f"{room} holds {len(files)} modules"
        text = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
        unnamed = [file for file in files if f"``{file}``" not in text]
        assert not unnamed, f"{room}/__init__.py does not say what {unnamed} is for"


HEAVY = ("torch", "pandas", "matplotlib", "sklearn", "scipy", "optuna", "submitit", "pyarrow")


def loaded_by(code):
    program = f"import sys\n{code}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split() if done.stdout.strip() else []


@pytest.mark.parametrize("module", sorted(LIGHT))
def test_light_leaves_load_nothing_heavy(module):
    assert loaded_by(f"import {module}") == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["status"],
        ["status", "--forgotten"],
        ["runs"],
        ["launch", "SPEC", "--dry-run", "--table", "mlp_norm"],
        ["keys"],
        ["schema"],
        ["--version"],
    ],
)
def test_quick_commands_load_nothing_heavy(tmp_path, spec_file, arguments):
    words = [str(spec_file()) if word == "SPEC" else word for word in arguments]
    (tmp_path / "runs").mkdir()
    places = ["--root", str(tmp_path / "runs"), "--db", str(tmp_path / "results.db")]
    run = "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code, stop.code"
    code = f"sys.argv = ['sweep', *{places + words}]\nfrom orchestrator.cli.main import main\n{run}"
    assert loaded_by(code) == []


def test_importing_a_package_does_nothing(tmp_path):
    for package in OURS:
        subprocess.run([sys.executable, "-c", f"import {package}"], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []
