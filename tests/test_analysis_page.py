"""docs/analysis.md and its notebook show what really comes out, of a small made-up database."""

import json
import re

import matplotlib.pyplot as plt
import pytest
import small_results
from conftest import REPO

PAGE = (REPO / "docs" / "analysis.md").read_text()
NOTEBOOK = json.loads((REPO / "docs" / "analysis.ipynb").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("small")
    small_results.make(made)
    return made


def printed(programs, capsys):
    """Run programs in order, in one namespace; yield what each prints, without spaces at line ends."""
    namespace = {}
    for program in programs:
        exec(compile(program, "docs/analysis", "exec"), namespace)
        yield trimmed(capsys.readouterr().out)


def trimmed(text):
    return [line.rstrip() for line in text.rstrip().splitlines()]


def test_the_pages_examples_print_what_it_says(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == PAGE.count("```python") == 4
    answers = printed([program for program, _ in examples], capsys)
    for (_, shown), answer in zip(examples, answers, strict=True):
        assert answer == trimmed(shown)


def test_the_notebooks_cells_print_what_it_shows(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    plt.switch_backend("agg")
    cells = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    answers = printed(["".join(cell["source"]) for cell in cells], capsys)
    for cell, answer in zip(cells, answers, strict=True):
        texts = ["".join(output["text"]) for output in cell["outputs"] if "text" in output]
        assert answer == trimmed("".join(texts))
    assert len(cells) >= 5
    assert len(plt.get_fignums()) == 1
    plt.close("all")


def test_the_notebook_is_of_the_format_that_jupyter_opens():
    assert NOTEBOOK["nbformat"] == 4 and NOTEBOOK["nbformat_minor"] >= 5
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    for cell in NOTEBOOK["cells"]:
        assert {"cell_type", "id", "metadata", "source"} <= cell.keys()
