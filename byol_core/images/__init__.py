"""From files to batches of pixels.

``load`` reads a data set into a ``memory`` split or opens it as ``photos``, which ``decode`` turns
into pixels on demand; both are a ``source``, which hands out batches.
"""
