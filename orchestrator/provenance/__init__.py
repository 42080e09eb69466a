"""Records what code ran, where, with which versions; without secrets.

* ``origin`` records commit, versions, machine and command line.
* ``snapshot`` copies the code that jobs run.
* ``redact`` takes secrets out of text.
"""
