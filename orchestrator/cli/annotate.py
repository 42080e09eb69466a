"""Holds the commands that say something of runs and sweeps: exclude, include, note, forget."""

from typing import Annotated

import typer

from orchestrator.cli.complete import complete_runs, complete_sweeps
from orchestrator.errors import UsageError
from orchestrator.store.root import PREFIX, Root, RunFolder, SweepFolder

Run = Annotated[
    str,
    typer.Argument(help="First digits of its id, or VARIANT:SEED.", autocompletion=complete_runs),
]


def exclude(
    context: typer.Context,
    run: Run,
    because: Annotated[str, typer.Option(help="Why, in words; tables print it.")],
) -> None:
    """Leave a run out of every table, with a reason that the tables print.

    Nothing is deleted, and `sweep launch` still counts the run as done; --rerun trains it again.
    """
    from orchestrator.store.annotations import Kind, annotate, read_remarks
    from orchestrator.store.names import find_run

    folder = find_run(context.obj.root, run)
    before = read_remarks(folder.path).excluded
    annotation = annotate(folder.path, Kind.EXCLUDE, because)
    if before is not None:
        print(f"it was excluded before ({before.text}); the newer reason counts")
    print(f"excluded {_named(folder)} from tables: {annotation.text}")


def include(context: typer.Context, run: Run) -> None:
    """Take an exclusion back: tables use the run again."""
    from orchestrator.store.annotations import Kind, annotate, read_remarks
    from orchestrator.store.names import find_run

    folder = find_run(context.obj.root, run)
    if read_remarks(folder.path).excluded is None:
        print(f"{_named(folder)} is not excluded; nothing to do")
        return
    annotate(folder.path, Kind.INCLUDE)
    print(f"included {_named(folder)}: tables use it again")


def note(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="RUN|SWEEP", help="A run, as for show, or a sweep's name.")
    ],
    text: Annotated[str | None, typer.Argument(help="The note.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Give it this tag; repeat for more.")
    ] = None,
    untag: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Take this tag off; repeat for more.")
    ] = None,
) -> None:
    """Write a note on a run or a sweep, or give it tags to find it by.

    `sweep show`, `status` and `runs` show them.
    """
    from orchestrator.store.annotations import Kind, annotate, read_remarks
    from orchestrator.store.names import find_run_or_sweep

    if text is None and not tag and not untag:
        raise UsageError("nothing to note; give a TEXT, --tag NAME or --untag NAME")
    folder = find_run_or_sweep(context.obj.root, target)
    tags = read_remarks(folder.path).tags
    for name in untag or []:
        if name not in tags:
            there = ", ".join(tags) or "none"
            raise UsageError(f"--untag {name!r}: {_named(folder)} has no such tag; tags: {there}")

    if text is not None:
        annotate(folder.path, Kind.NOTE, text)
    for name in tag or []:
        annotate(folder.path, Kind.TAG, name)
    for name in untag or []:
        annotate(folder.path, Kind.UNTAG, name)
    now = ", ".join(read_remarks(folder.path).tags)
    print(f"noted on {_named(folder)}" + (f"; tags: {now}" if now else ""))


def forget(
    context: typer.Context,
    sweep: Annotated[str, typer.Argument(help="Its name.", autocompletion=complete_sweeps)],
    because: Annotated[str, typer.Option(help="Why, in words.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Have it back.")] = False,
) -> None:
    """Hide a sweep: status, report and export leave it out, and it asks for no run any more.

    Nothing is deleted, and other sweeps keep the runs. Launching it again brings it back.
    """
    from orchestrator.launch.cancel import check_idle
    from orchestrator.slurm.queue import look_at_queue
    from orchestrator.store.annotations import Kind, annotate, is_forgotten
    from orchestrator.store.names import find_sweep

    root: Root = context.obj.root
    folder = find_sweep(root, sweep)
    label = folder.path.name
    if is_forgotten(folder.path) is not undo:
        print(f"{label} is {'not forgotten' if undo else 'forgotten already'}; nothing to do")
        return
    if undo:
        annotate(folder.path, Kind.REMEMBER, because)
        print(f"{label} is back: `sweep status {label}` shows it")
        return
    check_idle(root, label, look_at_queue(root))
    annotate(folder.path, Kind.FORGET, because)
    print(
        f"{label} is forgotten; nothing was deleted. To have it back: sweep forget --undo {label}"
    )


def _named(folder: RunFolder | SweepFolder) -> str:
    """Return `run 3f2a91` or `sweep tiny`."""
    if isinstance(folder, RunFolder):
        return f"run {folder.run_id[:PREFIX]}"
    return f"sweep {folder.path.name}"
