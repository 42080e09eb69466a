"""Turns files into batches of pixels.

* ``load`` opens a data set.
* ``memory`` holds images that fit into memory.
* ``photos`` decodes photos ahead of the step that wants them.
* ``decode`` turns one file into pixels.
* ``source`` is what both have in common: batches, which give views.
"""
