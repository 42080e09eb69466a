"""The command lines of the scripted SLURM, taken apart."""

import re


def options(words, flags, short=None):
    """Split into options and the rest; `flags` take no value."""
    found, rest, words = {}, [], list(words)
    while words:
        word = words.pop(0)
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
        elif word.startswith("-") and len(word) > 1 and not rest:
            name, equals, value = (short or {}).get(word[1], word[1]), word[2:], word[2:]
        else:
            rest.append(word)
            continue
        found[name] = True if name in flags else value if equals else words.pop(0)
    return found, rest


def split_flags(words, letters):
    """Write -hr as -h -r."""
    for word in words:
        together = re.fullmatch(rf"-([{letters}]+)", word)
        yield from [f"-{letter}" for letter in together[1]] if together else [word]
