"""Makes ``python -m orchestrator.cli`` the `sweep` command."""

from orchestrator.cli.main import main

main()
