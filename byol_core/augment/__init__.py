"""Turns pixels into random views, every image with draws of its own.

* ``views`` puts a view together.
* ``geometry`` crops, turns, mirrors and blurs.
* ``colour`` changes brightness, contrast, saturation and hue.
* ``crops`` draws the crops of photos that are cut while they are decoded.
"""
