"""Does for notebooks and programs what the `sweep` command does for people.

    from orchestrator.api import Workspace

    work = Workspace("sweep-runs", "results.db")
    work.launch("sweeps/smoke.yaml", executor="local")
    for run in work.runs(where=["state=failed"]):
        work.note(run["run_id"], "look at this one")

Errors are `orchestrator.errors.SweepError`, with the text that the command prints. Results as
pandas tables: `analysis.load`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from sqlalchemy import Engine

from byol_core.files import absolute, expanded
from orchestrator.cli.context import Places, collected, database_for
from orchestrator.launch.launch import LaunchResult, launch
from orchestrator.launch.options import LaunchOptions, parse_retry
from orchestrator.launch.plan import Plan, make_plan
from orchestrator.launch.progress import LaunchView
from orchestrator.launch.selection import Selection
from orchestrator.slurm.queue import look_at_queue
from orchestrator.spec import Sweep, load_sweep
from orchestrator.status.runs_list import Request, list_runs
from orchestrator.status.sweep_status import SweepStatus, sweep_statuses
from orchestrator.store.annotations import Annotation, Kind, annotate
from orchestrator.store.names import find_run, find_run_or_sweep
from orchestrator.store.root import Root


class Workspace:
    """Is a root with its database, as --root and --db name them.

    Args:
        root: the folder of all sweeps and runs; made by the first launch.
        db: the database, a path or a URL; made by the first launch.
    """

    def __init__(self, root: str | Path = "sweep-runs", db: str | Path = "results.db") -> None:
        self._places = Places(Root(absolute(root)), expanded(str(db)))

    def plan(
        self,
        spec: str | Path,
        profile: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        table: str | None = None,
        only: Sequence[str] = (),
        retry: Sequence[str] = (),
    ) -> Plan:
        """Tell what a launch would do, as `sweep launch --dry-run`; nothing is written.

        Args:
            spec: the sweep's YAML file.
            profile: named changes in the spec.
            overrides: dotted key → value, over all runs, as --set.
            seeds: instead of the spec's.
            table: only the variants that are rows of this table.
            only: only these variants.
            retry: states to try again, e.g. ``["failed", "oom"]``.

        Raises:
            SweepError: the spec is not valid, or its images are missing.
        """
        sweep = load_sweep(Path(spec), profile, overrides or {})
        selection = Selection(seeds, table, only, parse_retry(",".join(retry)))
        return make_plan(sweep, self._root, selection, look_at_queue(self._root))

    def launch(
        self,
        spec: str | Path,
        profile: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        *,
        seeds: Sequence[int] | None = None,
        table: str | None = None,
        only: Sequence[str] = (),
        retry: Sequence[str] = (),
        executor: str = "auto",
        slots: int | None = None,
        cluster: str | None = None,
        rerun: bool = False,
        prune: bool = False,
        wait: bool | None = None,
        queue: bool = False,
        on_fail: str | None = None,
        show: bool = True,
    ) -> LaunchResult:
        """Start what a spec asks for and is not there yet, as `sweep launch`.

        Runs that fail raise nothing: `status` tells of them. It must be called from the main
        thread, since it listens to Ctrl-C.

        Args:
            spec: the sweep's YAML file.
            profile: named changes in the spec.
            overrides: dotted key → value, over all runs.
            seeds: instead of the spec's.
            table: only the variants that are rows of this table.
            only: only these variants.
            retry: states to try again.
            executor: auto, slurm, local or inline.
            slots: how many runs at once; None for one per GPU or core.
            cluster: whose defaults in clusters.yaml count.
            rerun: train again what is done already.
            prune: cancel the jobs of variants that left the spec.
            wait: on SLURM, follow the sweep to its end.
            queue: wait while another launcher works on this root.
            on_fail: a command for the first failure of each kind.
            show: print the plan and the progress.

        Raises:
            SweepError: nothing was started, or SLURM refused; the text says which.

        Side effects:
            Files below the root, the database, processes or jobs.
        """
        sweep: Sweep = load_sweep(Path(spec), profile, overrides or {})
        selection = Selection(seeds, table, only, parse_retry(",".join(retry)))
        options = LaunchOptions(
            sweep, selection, executor, slots, cluster, rerun, prune, wait=wait, queue=queue
        )
        console = Console(quiet=not show)
        database = database_for(self._places, dry_run=False)
        with LaunchView(console, sweep.label, self._root, database, on_fail) as view:
            result = launch(options, self._root, view.reporter())
        self._collected(wait=True)
        return result

    def status(self, sweep: str | None = None) -> list[SweepStatus]:
        """Tell how the sweeps stand, newest first, as `sweep status`.

        Args:
            sweep: only those of this name; None for all.

        Raises:
            UsageError: there is none of that name.
        """
        return sweep_statuses(self._collected(), sweep)

    def runs(
        self,
        sweep: str | None = None,
        *,
        where: str | Sequence[str] = (),
        sort: str | None = None,
        columns: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """List runs as `sweep runs --json`: a dictionary each, accuracies in [0, 1].

        Args:
            sweep: only of this sweep.
            where: KEY=VALUE, e.g. ``["state=failed", "projector.norm=gn"]``.
            sort: a column, with "-" in front from high to low.
            columns: keys of runs and metrics too; empty for the usual ones.
            limit: at most so many.

        Raises:
            UsageError: a key, a value or a sweep does not exist.
        """
        conditions = [where] if isinstance(where, str) else where
        request = Request(sweep, conditions, sort, columns, limit)
        return list_runs(self._collected(), request).with_run_ids()

    def exclude(self, run: str, because: str) -> Annotation:
        """Leave a run out of every table, with a reason that the tables print.

        Args:
            run: the first digits of its id, or VARIANT:SEED.
            because: why.

        Raises:
            UsageError: no run is called so, or several are; or there is no reason.
        """
        return annotate(find_run(self._root, run).path, Kind.EXCLUDE, because)

    def include(self, run: str) -> Annotation:
        """Take an exclusion back; see `exclude`."""
        return annotate(find_run(self._root, run).path, Kind.INCLUDE)

    def note(self, target: str, text: str) -> Annotation:
        """Write a note on a run or a sweep.

        Args:
            target: a run, as for `exclude`, or a sweep's name.
            text: the note.
        """
        return annotate(find_run_or_sweep(self._root, target).path, Kind.NOTE, text)

    def tag(self, target: str, name: str) -> Annotation:
        """Give a run or a sweep a tag to find it by, as in ``runs(where=["tag=NAME"])``."""
        return annotate(find_run_or_sweep(self._root, target).path, Kind.TAG, name)

    def untag(self, target: str, name: str) -> Annotation:
        """Take a tag off a run or a sweep."""
        return annotate(find_run_or_sweep(self._root, target).path, Kind.UNTAG, name)

    @property
    def _root(self) -> Root:
        return self._places.root

    def _collected(self, wait: bool = False) -> Engine:
        """Bring the database up to date; what is to be said of it goes to standard error."""
        return collected(self._places, wait)
