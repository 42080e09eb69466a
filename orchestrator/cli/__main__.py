"""Makes ``python -m orchestrator.cli`` the `sweep` command."""

from orchestrator.cli.start import main

main()
