"""What a GPU computes in another way than it reads: norms fused with what follows them, and the stem.

* ``norm`` has them as autograd functions.
* ``batch_kernels`` and ``group_kernels`` compute them in Triton; both use ``relu``.
* ``stem`` is the first convolution.
"""
