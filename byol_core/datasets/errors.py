"""Defines what can be wrong with the images of a data set."""


class DataError(ValueError):
    """The files of a data set hold something else than images and labels, or cannot be fetched."""


class DataMissingError(Exception):
    """The images of a data set are not where they should be."""


class UnknownDatasetError(DataError):
    """No data set of this name can be fetched."""
