"""Finds what a data set of the user's own lies in, whose class is a plug-in.

A plan does not import the class: all it knows of the images is the content of these files.
"""

from dataclasses import dataclass
from pathlib import Path

from byol_core.config.train_config import DatasetConfig
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.photo_folder import PhotoSplit, list_files
from byol_core.files import absolute


@dataclass(frozen=True)
class OwnFiles:
    """Holds a file, or a folder with what lies below it.

    Attributes:
        path: which the user's class is made with.
        listing: the files below a folder; None for a single file.
    """

    path: Path
    listing: PhotoSplit | None = None


def find_own(dataset: DatasetConfig) -> OwnFiles:
    """Return the files at `dataset.path`.

    Raises:
        DataMissingError: there is none, or no path is set.
    """
    name = f"data set {dataset.name!r}"
    if dataset.path is None:
        raise DataMissingError(
            f"{name} needs dataset.path: the file or folder that its class reads, by whose content "
            "its runs are named"
        )
    path = absolute(dataset.path)
    if path.is_file():
        return OwnFiles(path)
    if not path.is_dir():
        raise DataMissingError(f"{name} is not there: {str(path)!r} is missing; check dataset.path")
    listing = list_files(path)
    if not listing.photos:
        raise DataMissingError(f"{name} is not there: {str(path)!r} is empty; check dataset.path")
    return OwnFiles(path, listing)
