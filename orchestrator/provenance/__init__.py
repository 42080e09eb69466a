"""Records what code ran, where, with which versions; without secrets.

* ``origin`` records commit, versions, machine and command line.
* ``packages`` lists what is installed, once for each set of packages.
* ``checkout`` asks git what was changed since the commit.
* ``snapshot`` copies the code that runs import.
* ``redact`` takes secrets out of text.
"""
