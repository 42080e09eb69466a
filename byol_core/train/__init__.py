"""Trains one run. This package is the door: `train` takes a config to its results.

* ``run`` is that way, from images to evaluations.
* ``start`` draws the networks and fits what depends on images.
* ``loop`` goes through the epochs: resume, step, measure, checkpoint.
* ``step`` is BYOL's algorithm: one step in three parts.
* ``compute_path`` says how a device computes it: as it reads, as a captured ``graph``, ``compiled``.
* ``objective`` says what a step minimizes.
* ``requests`` says which images a step wants, and draws their views.
* ``checkpoint`` keeps what a run needs to go on, ``background`` writes it while training goes on.
* ``encoders`` keeps what stays of a run.
* ``final_networks`` keeps the whole networks on request, and loads them as another run's start.
* ``observer`` is how a run speaks to its caller.
"""

from byol_core.train.observer import Observer, Options, Result
from byol_core.train.run import train

__all__ = ["Observer", "Options", "Result", "train"]
