"""From pixels to random views, every image with draws of its own.

``views`` puts a view together, from ``geometry`` (crop, flip, turn, blur) and ``colour`` (jitter,
grey, solarize). ``crops`` draws the crops of photos that are cut while they are decoded.
"""
