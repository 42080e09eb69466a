"""Reads a spec, a YAML file, and expands it into variants.

It is parsed strictly, and its profile and overrides are applied.

* ``strict_yaml`` reads YAML 1.2 without surprises.
* ``model`` declares what a spec may say.
* ``resources`` declares what jobs may ask for.
* ``parts`` holds what the models have in common.
* ``schema`` makes the JSON Schema of both, for editors.
* ``load`` lays profile and overrides over a file.
* ``derive`` computes settings from others.
* ``expand`` makes variants.
* ``plugins`` reads the files of a user's own parts, and runs nothing of them.
* ``duplicates`` refuses two rows of one meaning.
* ``explain`` puts file and line into errors.
* ``clusters`` reads the defaults of each cluster, clusters.yaml.
"""

from orchestrator.spec.expand import Variant, blame, expand, resources_of
from orchestrator.spec.load import Sweep, load_sweep
from orchestrator.spec.model import Spec
from orchestrator.spec.resources import Resources

__all__ = [
    "Resources",
    "Spec",
    "Sweep",
    "Variant",
    "blame",
    "expand",
    "load_sweep",
    "resources_of",
]
