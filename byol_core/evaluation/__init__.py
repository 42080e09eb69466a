"""Judges how good a frozen encoder is: each protocol has a file.

* ``protocols`` runs one by its name.
* ``probe`` fits a logistic regression to features of augmented images.
* ``knn`` lets the nearest training images vote.
* ``features`` computes what they judge.
"""
