"""The spec: a YAML file, parsed strictly, with profiles and overrides applied and expanded into
variants.

``strict_yaml`` reads, ``model`` and ``resources`` say what is allowed, ``explain`` puts file and
line into errors, ``load`` lays profile and overrides over it, ``expand`` makes variants.
"""

from orchestrator.spec.expand import Variant, expand, resources_of
from orchestrator.spec.load import Sweep, load_sweep
from orchestrator.spec.model import Spec
from orchestrator.spec.resources import Resources

__all__ = ["Resources", "Spec", "Sweep", "Variant", "expand", "load_sweep", "resources_of"]
