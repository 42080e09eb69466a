"""Runs the quick profile of every table's spec, and writes all tables into docs/results.

From sweeps/*.yaml, on the processors of this machine; `make tables`. It goes on where it was stopped:
each launch runs only what is missing. In the end it says how many processor hours the runs took.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_REPO = Path(__file__).resolve().parents[1]
_FEW = "0"
_SOME = "0,1,2"
_MANY = "0,1,2,3,4"


@dataclass(frozen=True)
class Part:
    """One launch: a spec, its seeds, and the table that it is limited to."""

    spec: str
    seeds: str
    table: str = ""

    def words(self) -> Iterator[str]:
        """Yield the words of the command."""
        yield from ("launch", f"sweeps/{self.spec}.yaml", "--profile", "quick")
        yield from ("--executor", "local", "--seeds", self.seeds)
        if self.table:
            yield from ("--table", self.table)


# In the order of care: the question first, then what people compare with it.
PARTS = (
    Part("norm_ablation", _MANY, "mlp_norm"),
    Part("norm_variants", _MANY),
    Part("norm_ablation", _SOME, "norm"),
    Part("tau", _SOME),
    Part("lambda", _SOME),
    Part("target_modes", _SOME),
    Part("init", _SOME),
    Part("negatives", _SOME),
    Part("weight_decay", _SOME),
    Part("optimal_predictor", _SOME),
    Part("batch_size", _FEW),
    Part("augmentations", _FEW),
    Part("lambda_mu", _FEW),
    Part("no_bn_tricks", _FEW),
    Part("encoder_norm_long", _FEW),
    Part("learning_rate", _FEW),
    Part("simsiam_bn", _FEW),
    Part("simsiam_predictor", _FEW),
    Part("simsiam_stopgrad", _FEW),
    Part("directpred_symmetric", _FEW),
    Part("directpred_weight_decay", _FEW),
    Part("beta_temperature", _FEW),
    Part("mlp_depth", _FEW),
    Part("projection_dim", _FEW),
    Part("loss_norm", _FEW),
)


def main() -> int:
    """Launch every part, write the page, and say what the runs cost; return an exit status."""
    arguments = _arguments()
    places = ["--root", arguments.root, "--db", arguments.db]
    for part in PARTS:
        status = _sweep(*places, *part.words())
        if status != 0:
            return status

    status = _sweep(*places, "report", "--all", "--out", arguments.out)
    print(f"processor hours of all runs, one thread each: {_hours(arguments.db):.1f}")
    return status


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="sweep-runs", help="where the runs lie")
    parser.add_argument("--db", default="results.db", help="their index")
    parser.add_argument("--out", default="docs/results", help="where the tables go")
    return parser.parse_args()


def _sweep(*words: str) -> int:
    command = [str(Path(sys.executable).with_name("sweep")), *words]
    print("\n$ sweep", " ".join(words), flush=True)
    return subprocess.run(command, cwd=_REPO, check=False).returncode


def _hours(db: str) -> float:
    from analysis import load

    return float(load.runs(db=_REPO / db)["wall_s"].sum()) / 3600


if __name__ == "__main__":
    sys.exit(main())
