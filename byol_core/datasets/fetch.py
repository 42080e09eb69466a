"""Downloads a data set to where runs look for it (`sweep data fetch`)."""

from pathlib import Path

from byol_core.config.resolve import nearest
from byol_core.datasets.archives import differing, put_in_place
from byol_core.datasets.errors import DataError, UnknownDatasetError
from byol_core.datasets.kinds import KINDS
from byol_core.datasets.published import PUBLISHED, data_root

_EMBEDDED = ("digits",)


def fetch(name: str) -> Path:
    """Download a data set and check its MD5s; what is there and right is not fetched again.

    Returns:
        The data folder, below which it lies.

    Raises:
        UnknownDatasetError: no data set of that name can be fetched.
        DataError: the download failed.
    """
    check_name(name)
    published = PUBLISHED[name]
    root = data_root()
    folder = root / published.folder
    try:
        if not differing(name, [folder / file.name for file in published.files]):
            return root
        if published.archive is None:
            _download(name, folder)
            return put_in_place(name, folder)

        # An archive that lay there before is not ours to delete.
        archive = root / published.archive.name
        was_there = archive.exists()
        _download(name, root)
        put_in_place(name, archive)
        if not was_there:
            archive.unlink()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "reason", None) or error
        problem = f"fetching {name} from {published.site} to {root} failed: {reason}"
        raise DataError(f"{problem}; try again, or see --print-url") from None
    return root


def check_name(name: str) -> None:
    """Refuse a data set that is published nowhere.

    Raises:
        UnknownDatasetError: it names what can be fetched.
    """
    if name in PUBLISHED:
        return
    if name in _EMBEDDED:
        raise UnknownDatasetError(
            f"data set {name!r} comes with scikit-learn; there is nothing to fetch"
        )
    if name in KINDS:
        raise UnknownDatasetError(
            f"data set {name!r} is your own: nothing can be fetched; name it with dataset.path"
        )
    raise UnknownDatasetError(f"data set {name!r} cannot be fetched; {nearest(name, PUBLISHED)}")


def _download(name: str, folder: Path) -> None:
    """Download what a data set is published in; a file that is there and right stays.

    Raises:
        OSError: the network or the disk fails.
        RuntimeError: what came has another MD5.
    """
    from torchvision.datasets.utils import download_url

    published = PUBLISHED[name]
    for file in published.downloads:
        download_url(f"{published.site}{file.name}", folder, file.name, file.md5)
