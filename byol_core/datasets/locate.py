"""Finds the files of a data set and identifies their content, without loading torch."""

from pathlib import Path

from byol_core.config.identity import DataIdentity
from byol_core.config.train_config import DatasetConfig
from byol_core.datasets.errors import DataMissingError
from byol_core.datasets.kinds import Files, kind_of
from byol_core.datasets.published import PUBLISHED


def find(dataset: DatasetConfig) -> Files:
    """Return the files of a data set, which are there, in a fixed order.

    Raises:
        DataMissingError: a file or a split is missing; the text says which and how to get it.
    """
    files = kind_of(dataset.name).find(dataset)
    if not isinstance(files, list):
        return files
    for file in files:
        if not file.is_file():
            raise DataMissingError(_missing(dataset, file))
    return files


def data_identity(dataset: DatasetConfig, files: Files | None = None) -> DataIdentity:
    """Return the content's identity; hashes are remembered by name, size and modification time.

    Args:
        dataset: which.
        files: of it, where they were found already.

    Raises:
        DataMissingError: as `find`.
        DataError: a file holds no images.
        OSError: a file cannot be read.
    """
    files = find(dataset) if files is None else files
    kind = kind_of(dataset.name)
    return DataIdentity(kind.fingerprint(files), kind.split, kind.size(files).images)


def _missing(dataset: DatasetConfig, file: Path) -> str:
    """Return which file is missing, and a way out."""
    if file.is_dir():
        mend = "photos want dataset.name=folder" if dataset.name == "arrays" else "move it away"
        return f"data set {dataset.name!r}: {str(file)!r} is a folder; {mend}"
    problem = f"data set {dataset.name!r} is not there: {str(file)!r} is missing"
    way_out = kind_of(dataset.name).way_out
    if dataset.path is not None and dataset.name in PUBLISHED:
        way_out = f"check dataset.path, or leave it out and {way_out}"
    return f"{problem}; {way_out}"
