"""The one type that every error of this package has, so that the command line turns all into text."""


class AnalysisError(Exception):
    """What was asked for cannot be shown; the text says what is allowed and what to do."""
