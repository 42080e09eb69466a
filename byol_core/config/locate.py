"""Where the images lie and what they are: finds a data set and fingerprints its content. Loads no torch."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Sequence
from pathlib import Path

from byol_core.config.identity import DataIdentity
from byol_core.config.models import DatasetConfig
from byol_core.files import make_folder, read_json, write_json

STL10_FILES = ("train_X.bin", "train_y.bin", "unlabeled_X.bin", "test_X.bin", "test_y.bin")
_BLOCK_BYTES = 1 << 20


class DataMissingError(Exception):
    """The images of a data set are not where they should be."""


def locate(dataset: DatasetConfig) -> list[Path]:
    """Return the files of a data set, in a fixed order.

    Raises:
        DataMissingError: a file is missing; the text says which and how to get it.
    """
    files = {"digits": _digits, "arrays": _arrays, "stl10": _stl10}[dataset.name](dataset)
    for file in files:
        if not file.is_file():
            raise DataMissingError(_missing(dataset, file))
    return files


def data_identity(dataset: DatasetConfig) -> DataIdentity:
    """Return the content's identity; hashes are cached by path, size and modification time.

    Raises:
        DataMissingError: as `locate`.
    """
    splits = {"digits": "1400/397 by sha256 of the index", "arrays": "as stored", "stl10": "train+unlabeled/test"}
    return DataIdentity(_fingerprint(locate(dataset)), splits[dataset.name])


def data_root() -> Path:
    """Return the folder of fetched data sets: $SWEEP_DATA, or ./data."""
    return Path(os.environ.get("SWEEP_DATA", "data")).absolute()


def _digits(dataset: DatasetConfig) -> list[Path]:
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise DataMissingError("data set 'digits' is part of scikit-learn, which is not installed: pip install scikit-learn")
    return [Path(package.origin).parent / "datasets/data/digits.csv.gz"]


def _arrays(dataset: DatasetConfig) -> list[Path]:
    if dataset.path is None:
        raise DataMissingError("data set 'arrays' needs dataset.path: an .npz file with x_train, y_train, x_test, y_test")
    return [Path(dataset.path).absolute()]


def _stl10(dataset: DatasetConfig) -> list[Path]:
    folder = Path(dataset.path).absolute() if dataset.path else data_root()
    return [folder / "stl10_binary" / name for name in STL10_FILES]


def _missing(dataset: DatasetConfig, file: Path) -> str:
    where = f"data set {dataset.name!r} is not there: {str(file)!r} is missing"
    return f"{where}; fetch it with: sweep data fetch stl10" if dataset.name == "stl10" else f"{where}; check dataset.path"


def _fingerprint(files: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(_file_hash(file).encode())
    return whole.hexdigest()


def _file_hash(file: Path) -> str:
    stat = file.stat()
    key = [str(file), stat.st_size, stat.st_mtime_ns]
    note = _cache_folder() / (hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32] + ".json")
    cached = read_json(note)
    if cached is None:
        cached = {"sha256": _sha256(file)}
        try:
            make_folder(note.parent)
            write_json(note, cached)
        except OSError:
            pass  # a cache that cannot be written costs time, nothing else
    return str(cached["sha256"])


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        while block := handle.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "byol-sweeps" / "fingerprints"
