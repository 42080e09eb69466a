"""The ways to evaluate a trained encoder, by name, and their versions."""

PROTOCOLS = {"probe": 1, "knn": 1}
"""Name → version, which is raised when a protocol would give another number for the same encoder."""
