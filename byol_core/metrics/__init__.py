"""What is measured while training, and not optimized.

* ``collapse`` computes the signs of collapse of a batch.
"""
