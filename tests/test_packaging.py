"""The wheel holds the three packages, all of them and nothing else; installed elsewhere, it works."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import REPO
from typer.testing import CliRunner

from orchestrator.cli import install
from orchestrator.cli.main import app
from orchestrator.errors import SweepError

PACKAGES = ("byol_core", "orchestrator", "analysis")
SPECS = sorted(file.name for file in (REPO / "sweeps").iterdir())


def tracked_files():
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.split() if (REPO / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the working tree, not of the last commit; a folder of a like name beside ours."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in tracked_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((REPO / name).read_bytes())
    (source / "analysis_old").mkdir()
    (source / "analysis_old" / "__init__.py").touch()
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {name for name in tracked_files() if name.split("/")[0] in PACKAGES}
    assert names == ours | {f"orchestrator/sweeps/{name}" for name in SPECS}
    assert {f"{package}/py.typed" for package in PACKAGES} <= names


@pytest.mark.slow
def test_the_wheel_says_whose_it_is_and_under_which_license(wheel):
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    (metadata,) = [archive.read(name).decode() for name in names if name.endswith("/METADATA")]
    (license_text,) = [archive.read(name) for name in names if name.endswith("licenses/LICENSE")]
    head = metadata.partition("\n\n")[0]
    assert "License-Expression: Apache-2.0" in head and "Author: byol-sweeps contributors" in head
    assert "Project-URL" not in head and "Home-page" not in head
    assert license_text == (REPO / "LICENSE").read_bytes()


@pytest.mark.slow
def test_installed_elsewhere_it_works_from_an_empty_folder(wheel, tmp_path):
    """A fresh environment; the libraries are those of this one."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    options = ["--no-deps", "--no-index", "--quiet"]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", *options, wheel]
    subprocess.run(pip, check=True, capture_output=True)
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))

    place = tmp_path / "empty"
    place.mkdir()
    variables = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}

    def sweep(*words):
        command = [environment / "bin" / "sweep", *words]
        return subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True)

    version = sweep("--version").stdout
    assert str(packages) in version and str(REPO) not in version
    written = sweep("init")
    assert written.returncode == 0 and names_in(place / "sweeps") == SPECS
    for spec in ("smoke.yaml", "norm_ablation.yaml"):
        options = ["--profile", "quick"] if spec != "smoke.yaml" else []
        done = sweep("launch", f"sweeps/{spec}", *options, "--dry-run", "--executor", "local")
        assert done.returncode == 0, done.stderr
    assert "python" in sweep("doctor").stdout.lower()
    assert names_in(place) == ["sweeps"]


def names_in(folder):
    return sorted(file.name for file in folder.iterdir())


def invoke(*words):
    return CliRunner().invoke(app, [*map(str, words)])


def test_init_copies_the_specs_and_names_the_next_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = invoke("init", "mine")
    assert done.exit_code == 0
    for name in SPECS:
        assert (tmp_path / "mine/sweeps" / name).read_bytes() == (
            REPO / "sweeps" / name
        ).read_bytes()
        assert f"wrote mine/sweeps/{name}" in done.stdout
    assert done.stdout.splitlines()[-1] == (
        f"{len(SPECS)} written; next: cd mine && sweep launch sweeps/smoke.yaml --dry-run"
    )


def test_init_never_overwrites(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "smoke.yaml").write_text("mine")
    done = invoke("init")
    assert (tmp_path / "sweeps" / "smoke.yaml").read_text() == "mine"
    assert "kept  sweeps/smoke.yaml" in done.stdout and f"{len(SPECS) - 1} written" in done.stdout
    again = invoke("init")
    assert again.exit_code == 0 and "0 written" in again.stdout and "wrote" not in again.stdout


@pytest.mark.parametrize("obstacle", ["sweeps", "sweeps/smoke.yaml/"])
def test_init_names_what_is_in_its_way(tmp_path, monkeypatch, obstacle):
    monkeypatch.chdir(tmp_path)
    if obstacle.endswith("/"):
        Path(obstacle).mkdir(parents=True)
    else:
        Path(obstacle).touch()
    error = invoke("init").exception
    assert isinstance(error, SweepError) and "sweeps/" in str(error)


def test_an_installation_without_specs_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(install, "_PACKAGE", tmp_path)
    monkeypatch.setattr(install, "_CHECKOUT", tmp_path)
    with pytest.raises(SweepError, match="install the program again"):
        install.shipped_specs()


def test_version_says_which_program_python_and_torch_without_loading_torch():
    program = "import sys; from orchestrator.cli.install import version_text as text; "
    program += "print(text()); print(*[name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True
    )
    sweep, python, torch, loaded = done.stdout.split("\n")[:4]
    assert re.match(r"sweep +0\.\d+\.\d+, from " + re.escape(str(REPO)), sweep)
    assert python.split()[1].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    assert re.match(r"torch +\d", torch) and loaded == ""
    assert invoke("--version").stdout.startswith("sweep ")


def test_the_license_and_the_citation_are_those_of_the_project():
    from ruamel.yaml import YAML

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    text = (REPO / "LICENSE").read_text()
    assert "Apache License" in text and "Copyright 2026 byol-sweeps contributors" in text
    assert project["license"] == "Apache-2.0" and "urls" not in project

    citation = YAML(typ="safe", pure=True).load((REPO / "CITATION.cff").read_text())
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    named = [reference["identifiers"][0]["value"] for reference in citation["references"]]
    assert named == ["arXiv:2006.07733", "arXiv:2010.10241"]


def test_the_commands_of_the_contributing_page_exist():
    page = (REPO / "CONTRIBUTING.md").read_text()
    targets = re.findall(r"\bmake ([a-z-]+)", page)
    makefile = (REPO / "Makefile").read_text()
    assert len(targets) > 3 and not [name for name in targets if f"\n{name}:" not in makefile]
    for name in re.findall(r"\(?\b((?:docs|tests|analysis|byol_core)/[\w/.-]+)", page):
        assert (REPO / name.rstrip(".")).exists(), name
