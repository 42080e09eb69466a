"""Trains one run; this package is the door, `train` does it all.

``run`` goes from a config to results, ``loop`` through the epochs, ``step`` is the algorithm.
``requests`` says which images a step wants, ``checkpoint`` keeps what it needs to go on,
``observer`` is how a run speaks to its caller, ``device`` where it computes.
"""

from byol_core.train.observer import Observer, Options, Result
from byol_core.train.run import train

__all__ = ["Observer", "Options", "Result", "train"]
