"""Computes losses: pure functions of vectors, each tested against a float64 reference.

* ``normalize`` holds what is done to vectors before they are compared.
* ``regression`` is BYOL's.
* ``contrastive`` holds InfoNCE with a queue, NT-Xent, and BYOL's loss with negatives.
"""
