"""Puts a point of the metric series into a line of text."""

from collections.abc import Mapping

_SHOWN = (
    "loss",
    "std_sqrt_d",
    "positive_cosine",
    "negative_cosine",
    "effective_rank",
    "retrieval",
    "lr",
    "tau",
)
"""Of some twenty metrics, those that fit into a line; all of them are kept."""


def metric_line(metrics: Mapping[str, float], images_per_s: float) -> str:
    """Return `loss 0.1234  std_sqrt_d 0.9  1,234 images/s`."""
    shown = [name for name in _SHOWN if name in metrics]
    values = "  ".join(f"{name} {metrics[name]:.4g}" for name in shown)
    return f"{values}  {images_per_s:,.0f} images/s"
