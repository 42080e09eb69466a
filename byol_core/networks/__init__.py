"""Builds the networks, with a file for each kind of part.

* ``norms`` makes a layer's norm.
* ``encoder`` builds the ResNets.
* ``heads`` builds projector and predictor.
* ``byol`` puts them together as online and target network.
* ``init`` draws the initial weights.
"""
