"""Holds `sweep doctor`."""

import json
import sys
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.arguments import assignment
from orchestrator.cli.complete import complete_profiles, complete_specs
from orchestrator.cli.console import make_console
from orchestrator.cli.context import Places
from orchestrator.errors import UsageError


def doctor(
    context: typer.Context,
    spec: Annotated[
        Path | None,
        typer.Argument(
            help="Also check this spec: its data, its resources.", autocompletion=complete_specs
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            help="Named changes in the spec, e.g. quick.", autocompletion=complete_profiles
        ),
    ] = None,
    assign: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of all its runs."),
    ] = None,
    submit: Annotated[
        bool, typer.Option("--submit", help="Also send a short job that looks around on a node.")
    ] = False,
    wait_min: Annotated[
        float, typer.Option(min=0.1, help="How long that job may take to come back.")
    ] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what this machine and its cluster offer, and what will go wrong.

    Example: sweep doctor sweeps/norm_ablation.yaml --profile quick
    """
    from orchestrator.doctor.examine import Subject, examine, findings_of, passed, probed
    from orchestrator.doctor.examine import as_json as to_json
    from orchestrator.doctor.terminal import show_sum, show_topic
    from orchestrator.spec import load_sweep

    places: Places = context.obj
    sweep = None
    if spec is not None:
        sweep = load_sweep(spec, profile, dict(assignment(text) for text in assign or []))
    elif profile or assign:
        raise UsageError("--profile and --set change a spec: name it, as in `sweep doctor SPEC`")
    subject = Subject(places.root, places.db, sweep)
    checks = examine(subject)
    if submit:
        checks = chain(checks, probed(subject, wait_min, _note))

    # For people each topic is printed as soon as it is examined.
    console = make_console()
    topics = []
    for topic in checks:
        topics.append(topic)
        if not as_json:
            show_topic(console, *topic)

    if as_json:
        print(json.dumps(to_json(topics), indent=1))
    else:
        show_sum(console, findings_of(topics))
    raise typer.Exit(0 if passed(topics) else 1)


def _note(text: str) -> None:
    print(f"  {text}", file=sys.stderr)
