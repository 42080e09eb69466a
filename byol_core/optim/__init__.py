"""Makes optimizers, says which parameters they touch, moves the target, and gives schedules.

* ``groups`` sorts a network's parameters, makes the optimizer, and sets its rates.
* ``sgd`` is gradient descent with momentum; ``lars`` is LARS as BYOL and the blog use it.
* ``average`` moves the target after the online network.
* ``schedules`` gives the learning rate and τ of a step.

In a step nothing waits for the device: rates and τ are scalars that lie there.
"""
