"""Carries out `launch --max-steps N`: tries runs for a few steps and keeps nothing.

They run in this process, in a folder that is thrown away, and never make a result.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from byol_core.config import ConfigError
from byol_core.datasets.errors import DataError
from byol_core.plugins import PlugInError
from byol_core.points import metric_line
from orchestrator.errors import SpecError
from orchestrator.executors.cut import cut_run
from orchestrator.executors.plugin_imports import plugins_from
from orchestrator.launch.plan import PlannedRun, make_plan
from orchestrator.launch.selection import Selection
from orchestrator.provenance.snapshot import take_plugins
from orchestrator.spec import Sweep
from orchestrator.store.jobs import Queue
from orchestrator.store.root import Root

_LINES = 10


def train_few_steps(
    sweep: Sweep, root: Root, selection: Selection, max_steps: int, say: Callable[[str], None]
) -> int:
    """Train each chosen run for `max_steps` steps and print what is measured; keep nothing.

    Returns:
        0; 1 where a loss was not finite.

    Raises:
        SpecError: a run cannot be trained, which only its images or the user's own part could tell.
    """
    plan = make_plan(sweep, root, selection, Queue())
    runs = list({run.run_id: run for run in plan.runs}.values())
    outcomes = [_train_one(run, max_steps, say) for run in runs]
    say(f"tried {len(runs)} runs for {max_steps} steps; nothing is kept and no table takes it")
    return int("diverged" in outcomes)


def _plugins(run: PlannedRun, throw_away: Root) -> AbstractContextManager[None]:
    """Return what makes the run's plug-ins known, from a copy that is thrown away too."""
    plugins = run.variant.plugins
    if plugins is None:
        return nullcontext()
    return plugins_from(take_plugins(throw_away, plugins))


@contextmanager
def _blaming(run: PlannedRun) -> Iterator[None]:
    """Have an error that only the run itself could show name the variant.

    Raises:
        SpecError: settings, images or a part of the user's own cannot serve.
    """
    variant = run.variant
    try:
        yield
    except (ConfigError, DataError, PlugInError) as error:
        raise SpecError(f"variant {variant.name!r}: {error}") from error
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a user's part may raise anything
        if variant.plugins is None:
            raise
        raise SpecError(
            f"variant {variant.name!r}, which uses a part of your own: "
            f"{type(error).__name__}: {error}; `sweep --debug launch …` shows the line"
        ) from error


def _train_one(run: PlannedRun, max_steps: int, say: Callable[[str], None]) -> str:
    """Train one run, and return its outcome."""
    say(f"{run.variant.name} seed {run.seed}")

    def show(step: int, metrics: dict[str, float], images_per_s: float) -> None:
        say(f"  step {step}  {metric_line(metrics, images_per_s)}")

    config = run.variant.at_seed(run.seed)
    log_every = max(1, max_steps // _LINES)
    with tempfile.TemporaryDirectory(prefix="sweep-try-") as folder:
        place = Path(folder)
        with _plugins(run, Root(place / "root")), _blaming(run):
            outcome, step = cut_run(config, place, max_steps, log_every, show)
    say(f"  {outcome} at step {step}")
    return outcome
