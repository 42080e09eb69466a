"""Downloads a data set to where runs look for it (`sweep data fetch`)."""

from pathlib import Path

from byol_core.config import DatasetConfig, nearest
from byol_core.datasets.archives import ARCHIVES
from byol_core.datasets.errors import DataError, DataMissingError, UnknownDatasetError
from byol_core.datasets.locate import data_identity, data_root

EMBEDDED = ("digits",)


def fetch(name: str) -> Path:
    """Download a data set through torchvision, which checks its MD5; what is right stays.

    Returns:
        The folder it lies in.

    Raises:
        UnknownDatasetError: no data set of that name can be fetched.
        DataError: the download failed.
    """
    check_name(name)
    from torchvision.datasets import STL10

    folder = data_root()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        STL10(str(folder), download=True)
        data_identity(DatasetConfig(name="stl10"))
    except (OSError, RuntimeError, DataMissingError) as error:
        reason = getattr(error, "reason", None) or error
        problem = f"fetching {name} from {STL10.url} to {folder} failed: {reason}"
        raise DataError(f"{problem}; try again, or see --print-url") from None
    return folder


def check_name(name: str) -> None:
    """Refuse a data set that is published nowhere.

    Raises:
        UnknownDatasetError: it names what can be fetched.
    """
    if name in EMBEDDED:
        raise UnknownDatasetError(
            f"data set {name!r} comes with scikit-learn; there is nothing to fetch"
        )
    if name not in ARCHIVES:
        raise UnknownDatasetError(f"data set {name!r} cannot be fetched; {nearest(name, ARCHIVES)}")
