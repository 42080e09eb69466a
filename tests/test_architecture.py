"""The arrows between the packages, held by reading every import, also those inside functions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
OURS = {"byol_core", "orchestrator", "analysis"}

# What each package may import of ours; by module where it is one module's right alone.
ALLOWED = {
    "byol_core": {"byol_core"},
    "orchestrator": {"orchestrator", "byol_core.config", "byol_core.datasets", "byol_core.files"},
    "analysis": {"analysis", "orchestrator.database.schema", "orchestrator", "byol_core.files"},
}
EXTRA = {
    "orchestrator.executors.worker": {"byol_core.train"},
    "orchestrator.executors.warm": {"byol_core.train", "byol_core"},
    "orchestrator.cli.inspect": {"analysis"},
    "orchestrator.cli.results": {"analysis"},
    "orchestrator.launch.plan": {"analysis.papers.rows"},
}
LIGHT = {
    "byol_core.config",
    "byol_core.files",
    "orchestrator.database.schema",
    "analysis",
    "analysis.papers.rows",
    "analysis.tables.collapse",
}
LIGHT |= {"analysis.results.relations", "analysis.export.files", "byol_core.datasets", "byol_core.datasets.fetch"}


def modules():
    for package in sorted(OURS):
        for file in sorted((REPO / package).rglob("*.py")):
            yield ".".join(file.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__"), file


def imports(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative imports hide arrows"
            yield node.module
            yield from (
                f"{node.module}.{alias.name}" for alias in node.names if (REPO / node.module.replace(".", "/")).is_dir()
            )


def below(name, allowed):
    return any(name == one or name.startswith(one + ".") for one in allowed)


@pytest.mark.parametrize(("name", "file"), list(modules()))
def test_arrows_go_one_way(name, file):
    package = name.split(".")[0]
    for target in imports(file):
        if target.split(".")[0] not in OURS:
            continue
        allowed = ALLOWED[package] | EXTRA.get(name, set())
        if package == "analysis" and target.split(".")[0] == "orchestrator":
            assert target in ("orchestrator", "orchestrator.database.schema"), f"{name} imports {target}"
        elif package == "orchestrator" and target == "byol_core":
            assert name in EXTRA, f"{name} imports {target}"
        else:
            assert below(target, allowed), f"{name} imports {target}"


def test_the_walk_sees_imports_inside_functions(tmp_path):
    file = tmp_path / "hidden.py"
    file.write_text("def f():\n    from orchestrator.launch.plan import make_plan\n    return make_plan\n")
    assert "orchestrator.launch.plan" in set(imports(file))


HEAVY = ("torch", "pandas", "matplotlib", "sklearn", "scipy", "optuna", "submitit", "pyarrow")


def loaded_by(code):
    program = f"import sys\n{code}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split() if done.stdout.strip() else []


@pytest.mark.parametrize("module", sorted(LIGHT))
def test_light_leaves_load_nothing_heavy(module):
    assert loaded_by(f"import {module}") == []


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["launch", "SPEC", "--dry-run", "--table", "mlp_norm"]])
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
