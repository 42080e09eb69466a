"""The help pages as a stranger reads them, at 80 columns."""

import re

import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.main import app

PARSER = typer.main.get_command(app)
PAGES = [[], *[[name] for name in PARSER.commands], ["data", "fetch"]]


def page(words):
    done = CliRunner().invoke(
        app, [*words, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}, prog_name="sweep"
    )
    assert done.exit_code == 0
    return done.stdout


@pytest.mark.parametrize("words", PAGES, ids=lambda words: " ".join(words) or "sweep")
def test_a_help_page_shows_values_and_no_types_of_python(words):
    text = page(words)
    assert not re.findall(r"<[a-z\[\] ]+>|\bNone\b|\[\]|list\[", text.replace("<class>", ""))
    assert max(map(len, text.splitlines())) <= 80


def test_a_flag_shows_no_type_and_an_option_its_value():
    lines = page(["launch"]).splitlines()
    (dry_run,) = [line for line in lines if "--dry-run" in line]
    assert re.search(r"--dry-run +Print the plan and stop", dry_run)
    (slots,) = [line for line in lines if "--slots" in line]
    assert re.search(r"--slots +N \[x>=1\]", slots)
    assert re.search(r"--set +KEY=VALUE", page(["launch"]))


def test_arguments_have_names_that_say_what_they_are():
    assert "{run} {other}" in page(["diff"])
