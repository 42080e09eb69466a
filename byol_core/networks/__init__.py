"""Builds the networks, with a file for each kind of part.

* ``batch_norm`` is batch norm with a view axis, and the switches by which its leakage is studied.
* ``batch_statistics`` tells every batch norm of a network over what its statistics are.
* ``stacked_norm`` computes batch norm of stacked views in few passes, as a processor likes it.
* `fused` computes norms together with what follows them, as a GPU likes it.
* ``norms`` makes a layer's norm, and layers with standardized weights.
* ``views`` runs a network over stacked views.
* ``encoder`` builds the ResNets.
* ``heads`` builds the multi-layer perceptrons: projector and predictor.
* ``predictors`` makes the predictor, trained or in closed form; ``least_squares`` solves for one.
* ``byol`` puts them together as online and target network.
* ``init`` draws the initial weights.
* ``roles`` tells what each parameter is: weight, bias, of a norm, gain, or not trained.
"""
