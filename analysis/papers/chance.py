"""Tells how accurate guessing is, for the lines of chance in figures."""

CLASSES = {
    "digits": 10,
    "cifar10": 10,
    "cifar100": 100,
    "fashion_mnist": 10,
    "stl10": 10,
    "imagenet": 1000,
    "imagenet100": 100,
    "imagenette": 10,
}
"""Data set → classes, of those whose classes are always the same."""


def chance_of(dataset: str, classes: int | None = None) -> float | None:
    """Return the accuracy of guessing, in [0, 1]; None where the classes are not known.

    Args:
        dataset: `dataset.name` of a run, or a paper's word for its data.
        classes: how many there are, where that is known; else by the data set's name.
    """
    count = classes or CLASSES.get(dataset)
    return 1 / count if count else None
