"""Holds the commands that keep the root in order: cancel, clean, rebuild, data fetch."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.arguments import names
from orchestrator.cli.complete import complete_published, complete_runs, complete_sweeps
from orchestrator.cli.context import Places, near, rebuilt
from orchestrator.errors import StoreError, UsageError
from orchestrator.text import counted, plain

_SHOWN = 20


def cancel(
    context: typer.Context,
    sweeps: Annotated[
        list[str] | None,
        typer.Argument(
            help="Which sweeps; runs that others ask for too are spared.",
            autocompletion=complete_sweeps,
        ),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Only these variants, e.g. byol,no_norm.")
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this run: its first digits or VARIANT:SEED; repeat for more.",
            autocompletion=complete_runs,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be cancelled.")
    ] = False,
) -> None:
    """Stop runs and their jobs; none starts again until a launch has --retry cancelled."""
    from orchestrator.launch.cancel import Choice, cancel_runs, end_lingering, find
    from orchestrator.slurm.queue import look_at_queue
    from orchestrator.store.names import find_run

    root = context.obj.root
    queue = look_at_queue(root)
    run_ids = [find_run(root, name).run_id for name in _single(run or [])]
    chosen = find(root, Choice(sweeps or [], names(only), run_ids), queue)

    # What is not cancelled is named first.
    if chosen.spared:
        print(
            f"spared {counted(len(chosen.spared), 'run')} that {', '.join(chosen.wanted_by)} asks for too; "
            "name it as well to cancel them"
        )
    if chosen.over:
        ended = "has ended" if len(chosen.over) == 1 else "have ended"
        print(f"left {counted(len(chosen.over), 'run')} that {ended}")
    if dry_run:
        print(f"{counted(len(chosen.run_ids), 'run')} would be cancelled")
        return

    jobs = cancel_runs(root, chosen.run_ids, queue)
    lingering = end_lingering(root, chosen.over)
    if lingering:
        print(f"ended {counted(lingering, 'job')} that held a node although the runs were done")
    runs = counted(len(chosen.run_ids), "run")
    print(f"cancelled {runs}, {counted(jobs, 'job')}; what runs stops behind a checkpoint")


def _single(runs: list[str]) -> Iterator[str]:
    """Yield the names of runs; ids may stand in one word, but a variant may hold a comma."""
    for text in runs:
        yield from [text] if ":" in text else text.split(",")


def clean(
    context: typer.Context,
    encoders: Annotated[
        bool, typer.Option("--encoders", help="Kept encoders and networks of completed runs too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
) -> None:
    """Free space that no result needs; results, events and plans stay."""
    from orchestrator.slurm.queue import look_at_queue
    from orchestrator.store.clean import find, remove
    from orchestrator.store.locks import launcher_lock

    # Under the launcher's lock no run starts while its files go.
    root = context.obj.root
    root.create()
    freed_bytes = 0
    with launcher_lock(root):
        for item in list(find(root, look_at_queue(root), encoders, _warn)):
            print(f"{item.size_bytes / 1e6:9.2f} MB  {item.why}  {near(item.path)}")
            freed_bytes += item.size_bytes
            if not dry_run:
                remove(item)
    print(f"{freed_bytes / 1e6:9.2f} MB  {'would be freed' if dry_run else 'freed'}")


def _warn(text: str) -> None:
    print(f"warning: {plain(text)}", file=sys.stderr)


def rebuild(
    context: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing; compare the database with the files.")
    ] = False,
) -> None:
    """Make results.db again from the run folders, or prove that both hold the same."""
    from orchestrator.database.address import named
    from orchestrator.database.rebuild import verify as compare
    from orchestrator.slurm.queue import look_at_queue

    places: Places = context.obj
    if not verify:
        for line in rebuilt(places):
            print(line)
        return

    compared, differences = compare(places.db, places.root, look_at_queue(places.root))
    for difference in differences[:_SHOWN]:
        print(f"{difference.what}: {difference.kind}")
    if differences:
        print(
            f"{len(differences)} of {compared} runs and sweeps differ; "
            "make the database again with: sweep rebuild"
        )
        raise typer.Exit(1)
    print(f"{named(places.db)} and the files hold the same: {compared} runs and sweeps")


def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="Which: cifar10, cifar100, fashion_mnist or stl10.",
            autocompletion=complete_published,
        ),
    ],
    print_url: Annotated[
        bool, typer.Option("--print-url", help="Print where it is, sizes and checksums; no more.")
    ] = False,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="The archive, or a folder of its files, carried here."),
    ] = None,
) -> None:
    """Bring a data set to $SWEEP_DATA (default ./data), from the network or from a file."""
    from byol_core.datasets.archives import describe, put_in_place
    from byol_core.datasets.errors import DataError, UnknownDatasetError
    from byol_core.datasets.fetch import check_name
    from byol_core.datasets.fetch import fetch as download
    from byol_core.files import absolute

    if print_url and source is not None:
        raise UsageError("--print-url does not go with --from: print first, carry, then put there")
    try:
        check_name(name)
        if print_url:
            print("\n".join(describe(name)))
            return
        folder = download(name) if source is None else put_in_place(name, absolute(source))
    except UnknownDatasetError as error:
        raise UsageError(str(error)) from None
    except DataError as error:
        raise StoreError(str(error)) from None
    print(f"{name} is in {near(folder)}")
