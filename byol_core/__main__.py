"""Train one run by hand, without a sweep: ``python -m byol_core --preset digits-tiny --set projector.norm=none --out DIR``.

Called again with the same arguments, it goes on where it stopped.
"""

import argparse
import json
import sys
from pathlib import Path

from byol_core.config import PRESETS, ConfigError, DataMissingError, resolve


class Printer:
    """Prints each point of the metric series."""

    def started(self, step: int, total_steps: int, exact: bool) -> None:
        """Say where training starts."""
        note = "" if exact else " (another machine or version: the last bits may differ)"
        print(f"step {step} of {total_steps}{note}", flush=True)

    def measured(self, step: int, epoch: int, metrics: dict[str, float], images_per_s: float) -> None:
        """Print one line."""
        values = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        print(f"step {step:>6}  epoch {epoch:>4}  {values}  {images_per_s:,.0f} images/s", flush=True)

    def before_write(self) -> None:
        """Nobody else writes here."""

    def checkpointed(self, step: int) -> None:
        """Say so."""
        print(f"checkpoint before step {step}", flush=True)

    def stop_reason(self) -> str | None:
        """Go on."""
        return None


def main() -> int:
    """Parse arguments, train, print the result as JSON."""
    arguments = _parser().parse_args()
    from byol_core.data import DataError
    from byol_core.train import Options, train

    try:
        config = resolve(arguments.preset, dict(_assignment(text) for text in arguments.set))
        result = train(config, arguments.out.absolute(), Options(device=arguments.device, threads=arguments.threads), Printer())
    except (ConfigError, DataMissingError, DataError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    evaluations = {file.stem: json.loads(file.read_text()) for file in sorted(arguments.out.glob("evaluations/*.json"))}
    print(json.dumps({"outcome": result.outcome, "final": result.final, "evaluations": evaluations}, indent=1))
    return 0 if result.outcome == "ok" else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m byol_core", description=__doc__)
    parser.add_argument("--preset", default="digits-tiny", help="base config: " + ", ".join(PRESETS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override, e.g. optimizer.lr=0.5")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 = torch's choice")
    return parser


def _assignment(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(text, f"--set {text!r} is no assignment; write KEY=VALUE, e.g. optimizer.lr=0.5")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


if __name__ == "__main__":
    sys.exit(main())
