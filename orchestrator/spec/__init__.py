"""The spec: a YAML file, parsed strictly, with profiles and overrides applied and expanded into variants.

``strict_yaml`` reads, ``model`` says what is allowed, ``load`` puts file and line into errors, ``expand`` makes variants.
"""

from orchestrator.spec.expand import Variant, expand
from orchestrator.spec.load import Sweep, load_sweep
from orchestrator.spec.model import Resources, Spec

__all__ = ["Resources", "Spec", "Sweep", "Variant", "expand", "load_sweep"]
