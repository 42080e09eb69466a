"""Finds the files of a data set and identifies their content, without loading torch."""

import importlib.util
import os
from pathlib import Path

from byol_core.config.identity import DataIdentity
from byol_core.config.train_config import DatasetConfig
from byol_core.datasets import fingerprint
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.photo_folder import SUFFIXES, PhotoFolder, list_photos
from byol_core.files import absolute

STL10_FILES = ("train_X.bin", "train_y.bin", "unlabeled_X.bin", "test_X.bin", "test_y.bin")
_PHOTOS = (
    "DIR/train/<class>/* and DIR/val/<class>/* or DIR/test/<class>/*, "
    f"files ending in {', '.join(SUFFIXES)}"
)

Files = list[Path] | PhotoFolder
"""What a data set lies in: files that are held in memory, or listed photos."""


def locate(dataset: DatasetConfig) -> list[Path]:
    """Return the files of a data set that is held in memory, in a fixed order.

    Raises:
        DataMissingError: a file is missing; the text says which and how to get it.
    """
    files = {"digits": _digits, "arrays": _arrays, "stl10": _stl10}[dataset.name](dataset)
    for file in files:
        if not file.is_file():
            raise DataMissingError(_missing(dataset, file))
    return files


def locate_photos(dataset: DatasetConfig) -> PhotoFolder:
    """Return the listing of a data set `folder`.

    Raises:
        DataMissingError: a split has no photos; the text says which and how they must lie.
    """
    if dataset.path is None:
        raise DataMissingError(f"data set 'folder' needs dataset.path: a folder DIR with {_PHOTOS}")
    root = absolute(dataset.path)
    if root.is_file():
        raise DataMissingError(
            f"data set 'folder': {str(root)!r} is a file; an .npz wants dataset.name=arrays, "
            f"photos a folder DIR with {_PHOTOS}"
        )
    listing = list_photos(root)
    for name, split in (("train", listing.train), ("val or test", listing.test)):
        if not split.photos:
            problem = f"data set 'folder' is not there: {str(root)!r} has no photos in {name}"
            raise DataMissingError(f"{problem}; as dataset.path DIR it must hold {_PHOTOS}")
    return listing


def find(dataset: DatasetConfig) -> Files:
    """Return the files of any data set.

    Raises:
        DataMissingError: as `locate` and `locate_photos`.
    """
    if dataset.name == "folder":
        return locate_photos(dataset)
    return locate(dataset)


def data_identity(dataset: DatasetConfig, files: Files | None = None) -> DataIdentity:
    """Return the content's identity; hashes are remembered by name, size and modification time.

    Args:
        dataset: which.
        files: of it, where they were found already.

    Raises:
        DataMissingError: as `locate` and `locate_photos`.
        OSError: a file cannot be read.
    """
    files = find(dataset) if files is None else files
    if isinstance(files, PhotoFolder):
        photos = fingerprint.of_photos(files)
        return DataIdentity(photos, "train/test folders, in the order of the names' sha256")
    splits = {
        "digits": "1400/397 by sha256 of the index",
        "arrays": "as stored",
        "stl10": "train+unlabeled/test",
    }
    return DataIdentity(fingerprint.of_files(files), splits[dataset.name])


def data_root() -> Path:
    """Return the folder of fetched data sets: $SWEEP_DATA, or ./data."""
    return absolute(os.environ.get("SWEEP_DATA", "data"))


def _digits(dataset: DatasetConfig) -> list[Path]:
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataMissingError(
            "data set 'digits' is part of scikit-learn, which is not installed: "
            "pip install scikit-learn"
        )
    return [Path(package.origin).parent / "datasets/data/digits.csv.gz"]


def _arrays(dataset: DatasetConfig) -> list[Path]:
    if dataset.path is None:
        raise DataMissingError(
            "data set 'arrays' needs dataset.path: "
            "an .npz file with x_train, y_train, x_test, y_test"
        )
    return [absolute(dataset.path)]


def _stl10(dataset: DatasetConfig) -> list[Path]:
    folder = absolute(dataset.path) if dataset.path else data_root()
    return [folder / "stl10_binary" / name for name in STL10_FILES]


def _missing(dataset: DatasetConfig, file: Path) -> str:
    """Return which file is missing, and a way out."""
    if file.is_dir():
        mend = "photos want dataset.name=folder" if dataset.name == "arrays" else "move it away"
        return f"data set {dataset.name!r}: {str(file)!r} is a folder; {mend}"
    problem = f"data set {dataset.name!r} is not there: {str(file)!r} is missing"
    if dataset.name == "stl10":
        return f"{problem}; fetch it with: sweep data fetch stl10"
    return f"{problem}; check dataset.path"
