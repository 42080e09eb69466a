"""Commands that keep the place in order: cancel, clean, data fetch."""

from typing import Annotated

import typer

from orchestrator.cli.arguments import names
from orchestrator.cli.context import Places, near, rebuilt
from orchestrator.errors import StoreError, UsageError

_SHOWN = 20


def cancel(
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(help="Which sweeps; runs that others ask for too are spared."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only these variants, e.g. byol,no_norm.")
    ] = None,
    run: Annotated[
        list[str] | None, typer.Option(help="Only this run, by its first digits; repeat for more.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be cancelled.")
    ] = False,
) -> None:
    """Stop runs and their jobs, and start none of them again until a launch asks with --retry
    cancelled.
    """
    from orchestrator.launch.cancel import Choice, cancel_runs, find
    from orchestrator.slurm.queue import look_at_queue

    queue = look_at_queue(Places.root)
    run_ids = [
        Places.root.find_run(prefix).run_id for text in run or [] for prefix in text.split(",")
    ]
    found = find(Places.root, Choice(sweeps or [], names(only), run_ids), queue)
    if found.spared:
        print(
            f"spared {len(found.spared)} runs that {', '.join(found.wanted_by)} asks for too; "
            f"name it as well to cancel them"
        )
    if found.over:
        print(f"left {len(found.over)} runs that have ended")
    if dry_run:
        print(f"{len(found.run_ids)} runs would be cancelled")
        return
    jobs = cancel_runs(Places.root, found.run_ids, queue)
    print(f"cancelled {len(found.run_ids)} runs, {jobs} jobs; what runs stops behind a checkpoint")


def clean(
    encoders: Annotated[
        bool, typer.Option("--encoders", help="Kept encoders of completed runs too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
) -> None:
    """Free space that no result needs; results, events and plans stay."""
    from orchestrator.slurm.queue import look_at_queue
    from orchestrator.store.clean import find, remove
    from orchestrator.store.locks import launcher_lock

    Places.root.create()
    with launcher_lock(Places.root):
        found = list(find(Places.root, look_at_queue(Places.root), encoders))
        for one in found:
            print(f"{one.size_bytes / 1e6:9.2f} MB  {one.why}  {near(one.path)}")
            if not dry_run:
                remove(one)
    print(
        f"{sum(one.size_bytes for one in found) / 1e6:9.2f} MB  {'would be freed' if dry_run else 'freed'}"
    )


def rebuild(
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing; compare the database with the files.")
    ] = False,
) -> None:
    """Make results.db again from the run folders, or prove that both hold the same."""
    if not verify:
        for line in rebuilt():
            print(line)
        return
    from orchestrator.database.connect import named
    from orchestrator.database.rebuild import verify as compare
    from orchestrator.slurm.queue import look_at_queue

    compared, differences = compare(Places.db, Places.root, look_at_queue(Places.root))
    for one in differences[:_SHOWN]:
        print(f"{one.what}: {one.kind}")
    if differences:
        print(
            f"{len(differences)} of {compared} runs and sweeps differ; make the database again with: sweep rebuild"
        )
        raise typer.Exit(1)
    print(f"{named(Places.db)} and the files hold the same: {compared} runs and sweeps")


def fetch(name: Annotated[str, typer.Argument(help="Which data set, e.g. stl10.")]) -> None:
    """Download a data set to $SWEEP_DATA (default ./data)."""
    from byol_core.datasets.errors import DataError, UnknownDatasetError
    from byol_core.datasets.fetch import fetch as download

    try:
        folder = download(name)
    except UnknownDatasetError as error:
        raise UsageError(str(error)) from None
    except DataError as error:
        raise StoreError(str(error)) from None
    print(f"{name} is in {near(folder)}")
