"""Names what a reader must know of a cell: each mark's code, its letter, and what it means.

A mark has a short text of its own ("diverged 1/3"); its code has one explanation, which every format
prints below the table, with what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What a mark is about; the words of `marks` in JSON begin with it."""

    EXCLUDED = "excluded"
    CONFOUNDED = "confounded"
    DIFFERS = "differs"
    DIVERGED = "diverged"
    NOT_JUDGED = "not judged"
    NOT_FINITE = "not finite"
    COLLAPSED = "collapsed"
    SPLIT = "split"
    UNINFORMATIVE = "uninformative"
    FEW_DIMENSIONS = "few dimensions"
    INEXACT = "inexact"
    MIXED = "mixed"
    TUNED_APART = "tuned apart"
    DEAD_KNOB = "dead knob"
    DEAD_SEED = "dead seed"
    UNEQUAL_N = "unequal n"


@dataclass(frozen=True)
class Mark:
    """One remark on a cell.

    Attributes:
        code: what it is about.
        text: as the state's cell says it, its code first: `diverged 1/3`.
        detail: values and reasons, which stand below the table.
    """

    code: Code
    text: str
    detail: str = ""

    def __str__(self) -> str:
        """Return the text with its details."""
        return f"{self.text}: {self.detail}" if self.detail else self.text


@dataclass(frozen=True)
class Meaning:
    """Explains a code: the letter that stands in narrow tables, and a sentence for the foot."""

    letter: str
    sentence: str


MEANINGS = {
    Code.EXCLUDED: Meaning(
        "e", "runs that people left out, with their reasons; `sweep include RUN` takes one back"
    ),
    Code.CONFOUNDED: Meaning(
        "x",
        "runs of this row differ in more than the seed, so they have no common number; "
        "`sweep diff RUN RUN` shows two",
    ),
    Code.DIFFERS: Meaning(
        "a", "runs of this row are here, but at another setting, which `--setting ID` shows"
    ),
    Code.DIVERGED: Meaning(
        "d", "runs whose loss was not finite have no accuracy and are no part of n"
    ),
    Code.NOT_JUDGED: Meaning(
        "j",
        "completed runs without this evaluation count nowhere: put a missing file back from a "
        "backup, or train them again (`sweep launch SPEC --only VARIANT --seeds N --rerun`)",
    ),
    Code.NOT_FINITE: Meaning("f", "an accuracy that is no number: it is left out of n"),
    Code.COLLAPSED: Meaning(
        "c", "runs whose projections shrank to almost one point; they count in n"
    ),
    Code.SPLIT: Meaning(
        "s",
        "some seeds collapsed and some did not: two kinds of results have no common interval, so "
        "their values are shown",
    ),
    Code.UNINFORMATIVE: Meaning(
        "u", "not above an encoder that was never trained, whether or not the projections collapsed"
    ),
    Code.FEW_DIMENSIONS: Meaning(
        "r",
        "the projections use far fewer dimensions than the baseline's (effective rank under a "
        "quarter): dimensional collapse",
    ),
    Code.INEXACT: Meaning(
        "i",
        "runs that went on from a checkpoint of another trainer, library or device: unbroken, they "
        "might have other numbers",
    ),
    Code.MIXED: Meaning(
        "m",
        "runs that are compared here were made by different trainers, devices or versions; "
        "`sweep launch SPEC --rerun` trains them anew",
    ),
    Code.TUNED_APART: Meaning(
        "t",
        "the row sets a key to a value that was chosen for this row, and the others share another "
        "one: part of the difference may come from that",
    ),
    Code.DEAD_KNOB: Meaning(
        "k",
        "every recorded number equals the baseline's at the same seed: what the row changes had no "
        "effect, so no p is computed; `sweep diff RUN RUN` shows what two runs set",
    ),
    Code.DEAD_SEED: Meaning(
        "z", "all seeds gave the same numbers: they are one result, not several"
    ),
    Code.UNEQUAL_N: Meaning("n", "rows have different numbers of seeds"),
}


def counted(code: Code, count: int, of: int, detail: str = "") -> Mark:
    """Return a mark that counts runs: `diverged 1/3`."""
    return Mark(code, f"{code} {count}/{of}", detail)


def has(marks: Sequence[Mark], code: Code) -> bool:
    """Tell whether a code is among some marks."""
    return any(mark.code == code for mark in marks)
