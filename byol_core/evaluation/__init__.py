"""Judges how good a frozen encoder is: each protocol has a file.

* ``protocols`` runs one by its name.
* ``probe`` fits a logistic regression to features of drawn views.
* ``regression`` is that regression, solved to its optimum on the device that trained.
* ``knn`` lets the nearest training images vote.
* ``features`` computes what they judge.
* ``views`` says which views they judge on: a protocol's own, not the run's.
* ``labels`` leaves out images without a label.
"""
