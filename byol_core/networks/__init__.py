"""One file per kind of part of a network."""
