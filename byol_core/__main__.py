"""Train one run by hand, without a sweep:

``python -m byol_core --preset digits-tiny --set projector.norm=none --out DIR``.

Called again with the same arguments, it goes on where it stopped.
"""

import argparse
import json
import signal
import sys
from pathlib import Path

from byol_core.config import PRESETS, ConfigError, resolve, run_id
from byol_core.datasets.errors import DataError, DataMissingError
from byol_core.datasets.facts import check_fit, data_facts
from byol_core.datasets.locate import data_identity
from byol_core.files import make_folder, read_json, write_json
from byol_core.kept_networks import start_digest
from byol_core.plugins import PlugInError
from byol_core.points import metric_line


class OtherRunError(Exception):
    """Says that a folder belongs to another run."""


class Printer:
    """Prints each point of the metric series."""

    reason: str | None = None

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Say where training starts."""
        note = ""
        if not exact:
            note = " (another machine or version: the last bits may differ)"
        print(f"step {step} of {total_steps}{note}", flush=True)

    def measured(
        self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float
    ) -> None:
        """Print one line."""
        line = metric_line(metrics, images_per_s)
        print(f"step {step:>6}  epoch {epoch:>4}  {line}", flush=True)

    def before_write(self) -> None:
        """Go on, since nobody else writes here."""

    def checkpointed(self, step: int) -> None:
        """Say so."""
        print(f"checkpoint before step {step}", flush=True)

    def stop_reason(self) -> str | None:
        """Stop behind a checkpoint once Ctrl-C was pressed."""
        return self.reason

    def interrupt(self, *_: object) -> None:
        """Note the first Ctrl-C; the second ends at once."""
        if self.reason is not None:
            raise KeyboardInterrupt
        self.reason = "interrupted"


def main() -> int:
    """Parse arguments, train, print the result as JSON."""
    arguments = _parser().parse_args()

    # Behind the arguments, so that --help loads no torch.
    from byol_core.device import DeviceError
    from byol_core.train import Options, train

    printer = Printer()
    signal.signal(signal.SIGINT, printer.interrupt)
    out = arguments.out.absolute()
    options = Options(
        device=arguments.device,
        threads=arguments.threads,
        keep_networks=arguments.keep_networks,
    )
    try:
        overrides = dict(_assignment(text) for text in arguments.set)
        if overrides.get("precision") == "auto":
            raise ConfigError("precision", _recommended_precision(arguments.device))
        config = resolve(arguments.preset, overrides)
        check_fit(config, data_facts(config.dataset))
        weights = start_digest(config)
        _own(out, run_id(config, data_identity(config.dataset), weights))
        result = train(config, out, options, printer)
    except (
        ConfigError,
        DataMissingError,
        DataError,
        DeviceError,
        OtherRunError,
        PlugInError,
    ) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or out}: {error.strerror}; choose another --out")

    files = sorted(out.glob("evaluations/*.json"))
    evaluations = {file.stem: json.loads(file.read_text()) for file in files}
    report = {"outcome": result.outcome, "final": result.final, "evaluations": evaluations}
    print(json.dumps(report, indent=1))
    return {"ok": 0, "stopped": 130}.get(result.outcome, 1)


def _recommended_precision(device: str) -> str:
    """Return what to write in place of `auto`, which would not say what a run computed in."""
    from byol_core.device import pick_device
    from byol_core.precision import recommend

    advice = recommend(pick_device(device))
    return f"precision: 'auto' is no value of a run; recommended here is {advice}"


def _own(out: Path, name: str) -> None:
    """Make the folder this run's, or find that it is already.

    Raises:
        OtherRunError: it holds another run.
    """
    make_folder(out)
    owner = read_json(out / "run.json")
    if owner is None:
        write_json(out / "run.json", {"run_id": name})
    elif owner["run_id"] != name:
        raise OtherRunError(
            f"{out}: holds another run, of other settings or images; choose another --out"
        )


def _fail(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m byol_core", description=__doc__)
    parser.add_argument(
        "--preset", default="digits-tiny", help="base config: " + ", ".join(PRESETS)
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override, e.g. optimizer.lr=0.5",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument(
        "--threads",
        type=int,
        choices=range(0, 1025),
        default=0,
        metavar="N",
        help="CPU threads; 0 = torch's choice",
    )
    parser.add_argument(
        "--keep-networks",
        action="store_true",
        help="keep the whole networks in OUT/networks, for init.weights of another run",
    )
    return parser


def _assignment(text: str) -> tuple[str, object]:
    """Return the key and the value of `KEY=VALUE`; a value that is no JSON is text."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(
            text, f"--set {text!r} is no assignment; write KEY=VALUE, e.g. optimizer.lr=0.5"
        )
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


if __name__ == "__main__":
    sys.exit(main())
