"""Puts a point of the metric series into a line of text."""

from collections.abc import Mapping


def metric_line(metrics: Mapping[str, float], images_per_s: float) -> str:
    """Return `loss 0.1234  std_sqrt_d 0.9  1,234 images/s`."""
    values = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    return f"{values}  {images_per_s:,.0f} images/s"
