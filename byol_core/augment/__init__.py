"""Turns pixels into random views, every image with draws of its own.

* ``draws`` draws the random numbers of a view, a stream for each operation.
* ``views`` applies them: pixels and draws in, a view out, without a random number of its own.
* ``choice`` changes the images for which an operation was drawn.
* ``geometry`` turns, resizes crops, mirrors and blurs.
* ``colour`` changes brightness, contrast, saturation and hue, and solarizes.
* ``extra`` draws and applies an augmentation of the user's own.
* ``crops`` finds the box of a crop, in memory or in a photo of any size.
"""
