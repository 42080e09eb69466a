"""Names the ways to evaluate a trained encoder, and their versions."""

PROTOCOLS = {"probe": 1, "knn": 1}
"""Name → version, raised when a protocol would give another number for the same encoder."""
