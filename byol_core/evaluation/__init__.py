"""How good a frozen encoder is: a protocol per file.

``protocols`` runs one by its name; ``probe`` and ``knn`` are the protocols, ``features`` is what
they judge.
"""
