"""Names the ways to evaluate a trained encoder, and their versions."""

PROTOCOLS = {"probe": 3, "knn": 3}
"""Name → version, raised when a protocol would give another number for the same encoder.

In version 1, `probe` drew its views with the run's own augmentation, so that an axis of it measured
the probe; and both took images without a label for a class, and let a GPU round to TF32. In version
2, `probe` stopped before its optimum, where the processor's rounding had a say, and `knn` left open
which of equally near images vote.
"""
