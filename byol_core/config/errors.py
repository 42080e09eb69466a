"""Defines what can be wrong with the settings of a run."""


class ConfigError(ValueError):
    """Says that a setting does not exist, is out of range or does not fit the others.

    Attributes:
        key: the dotted key at fault, or "" where several are.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
