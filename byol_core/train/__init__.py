"""Trains one run. This package is the door: `train` takes a config to its results.

* ``run`` is that way, from images to evaluations.
* ``loop`` goes through the epochs: resume, step, measure, checkpoint.
* ``step`` is BYOL's algorithm: the networks and one step.
* ``objective`` says what a step minimizes: BYOL's loss, MoCo's or SimCLR's.
* ``requests`` says which images a step wants.
* ``checkpoint`` keeps what a run needs to go on.
* ``encoders`` keeps what stays, and builds it again to be judged.
* ``observer`` is how a run speaks to its caller.
* ``device`` picks where it computes, and ``precision`` in which numbers.
"""

from byol_core.train.observer import Observer, Options, Result
from byol_core.train.run import train

__all__ = ["Observer", "Options", "Result", "train"]
