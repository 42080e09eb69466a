"""What code ran, where, with which versions; without secrets.

``origin`` records it, ``snapshot`` keeps a copy of the code that jobs run, ``redact`` takes secrets
out.
"""
