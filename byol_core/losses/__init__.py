"""Computes losses: pure functions of vectors, each tested against a float64 reference.

* ``regression`` is BYOL's.
* ``contrastive`` holds InfoNCE with a queue and NT-Xent.
"""
