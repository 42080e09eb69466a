"""``python -m orchestrator.cli`` is `sweep`."""

from orchestrator.cli.main import main

main()
