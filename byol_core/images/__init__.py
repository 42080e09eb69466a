"""Turns files into batches of pixels.

* ``load`` opens a data set.
* ``memory`` holds images that fit into memory.
* ``resident`` keeps them on a GPU.
* ``own`` reads what a class of the user's own gives.
* ``photos`` decodes photos ahead of the step that wants them.
* ``decode`` turns one file into pixels.
* ``source`` is what both have in common: batches, which give views.
"""
