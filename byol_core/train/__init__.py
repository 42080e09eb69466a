"""Trains one run; this package is the door, `train` does it all."""

from byol_core.train.run import Observer, Options, Result, train

__all__ = ["Observer", "Options", "Result", "train"]
