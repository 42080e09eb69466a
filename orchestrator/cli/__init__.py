"""The command line; ``orchestrator.cli.main`` is its start."""
