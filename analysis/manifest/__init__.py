"""Writes down from which files the numbers of a table came, and derives them again from these files.

* ``contents`` declares what a manifest holds, reads one and writes one.
* ``write`` makes the manifest of a report.
* ``check`` derives the numbers of a manifest again and names what differs.
"""
