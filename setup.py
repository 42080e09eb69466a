"""Adds the specs to the packages: they lie beside these, in sweeps/, where people look for them.

All else is said in pyproject.toml, which cannot add a package to those that it finds. Installed,
they are the folder orchestrator/sweeps, from which `sweep init` copies.
"""

from setuptools import find_namespace_packages, setup

OURS = ["byol_core", "orchestrator", "analysis"]

setup(
    packages=[
        *find_namespace_packages(include=[*OURS, *(f"{name}.*" for name in OURS)]),
        "orchestrator.sweeps",
    ],
    package_dir={"orchestrator.sweeps": "sweeps"},
)
