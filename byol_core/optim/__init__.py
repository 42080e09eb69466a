"""Makes optimizers, says which parameters they touch, and gives schedules.

* ``groups`` sorts a network's parameters and makes the optimizer.
* ``lars`` is LARS as BYOL uses it.
* ``schedules`` gives the learning rate and τ of a step.
"""
