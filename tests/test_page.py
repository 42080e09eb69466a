"""The page of all tables: complete without script and network, and no name on it is markup."""

import gc
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from planted import run, seeds_of
from planted_database import write
from typer.testing import CliRunner

from analysis.page import contents as page_contents
from analysis.page import document, figure, files
from analysis.page.contents import contents
from analysis.page.document import fill
from analysis.page.files import INDEX, as_html, as_page, page_files
from analysis.report import opened, report
from orchestrator.cli.main import app

HOSTILE = "<script>alert(1)</script>\"'\u202e\x1b[31m\n{{ 7 * 7 }}<img src=x onerror=alert(1)>"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Reads a page: its tags with their attributes, its ids, its text; tags must be closed."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(content)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


PICTURE = b"<svg xmlns='http://www.w3.org/2000/svg'><g/></svg>"
TABLES = ["mlp_norm", "norm", "norm_variants", "transfer_depth"]


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A few tables and no real pictures, which take the most time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure, "draw", lambda *_: PICTURE)
        patch.setattr(files, "render", lambda *_: b"")
        patch.setattr(page_contents, "table_ids", lambda: TABLES)
        yield patch


def runs():
    return [
        *seeds_of("byol", [0.71, 0.72, 0.73]),
        *seeds_of("no_norm", [0.11, 0.12], spread=0.01),
        run("no_norm", 2, state="FAILED", outcome=None, evaluations={}, final={}),
        run("proj_only", 0, 0.5, excluded="wrong lens"),
    ]


@pytest.fixture(scope="module")
def db(tmp_path_factory):
    """A database with rows that are done, partial, failed and excluded."""
    file = tmp_path_factory.mktemp("page") / "results.db"
    return write(file, runs(), question="Does it need it?", reason="it burned")


@pytest.fixture(scope="module")
def shown(db):
    with opened(db) as source:
        return Page(as_page(contents(source)).decode())


def test_it_opens_with_what_was_asked_found_and_incomplete(shown):
    text = shown.text
    places = [text.index(f" What {words} ") for words in ("was asked", "was found")]
    places.append(text.index(" What is incomplete "))
    assert places == sorted(places)
    assert "Does it need it?" in text and "norm_ablation@quick" in text

    # What was never launched counts among what the spec asks for, above as below.
    done, of = map(int, re.search(r"(\d+) of (\d+) runs done", text).groups())
    never = re.search(r"(\d+) never launched", text)
    assert done == 6 and of == 7 + int(never[1] if never else 0)
    assert "it burned" in text
    assert "norm_ablation@quick: 1 failed, 2 never launched" in text
    spec = "/data/sweep-runs/sweeps/norm_ablation@quick/spec.yaml"
    assert f"sweep --root /data/sweep-runs launch {spec} --profile quick --retry failed" in text
    assert "collapsed" in text and "No projection or predictor" not in text


def test_a_row_unfolds_to_its_runs_and_the_commands_that_make_them(shown):
    text = shown.text
    assert len(shown.all("details")) > 5
    for words in ("a7c46421e0", "node-1 (cpu, AMD EPYC)", "61 s", "1 completed", "wrong lens"):
        assert words in text, words
    assert "predictor.norm none for bn" in text
    assert "--only no_norm --seeds 0,1,2 --rerun" in text and "sweep diff" in text


def test_it_needs_no_network_and_no_script(shown):
    names = {tag for tag, _ in shown.tags}
    assert names.isdisjoint({"script", "link", "iframe", "object", "form", "base", "svg"})
    policy = next(attrs["content"] for attrs in shown.all("meta") if "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    for _, attrs in shown.tags:
        assert not [name for name in attrs if name.startswith("on") or name == "style"]
        address = attrs.get("src") or attrs.get("href") or ""
        assert re.match(r"data:image/svg\+xml;base64,|#|[\w.-]+/table\.\w+$|$", address), address


def test_a_reader_who_does_not_see_it_is_told_the_same(shown):
    assert shown.all("html") == [{"lang": "en"}]
    assert {"main", "nav", "header", "footer"} <= {tag for tag, _ in shown.tags}
    levels = [int(tag[1]) for tag, _ in shown.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert len(shown.all("caption")) == len(shown.all("table"))
    assert all(attrs.get("scope") for attrs in shown.all("th"))
    assert all(attrs.get("alt") for attrs in shown.all("img"))
    ids = [attrs["id"] for _, attrs in shown.tags if "id" in attrs]
    assert len(ids) == len({*ids})
    targets = [a["href"][1:] for a in shown.all("a") if a["href"].startswith("#")]
    assert targets and {*targets} <= {*ids}


def test_marks_have_words_and_footnotes(shown):
    marks = [attrs["href"] for attrs in shown.all("a") if attrs.get("class") == "mark"]
    assert "#mlp_norm-e" in marks and "#mlp_norm-c" in marks
    assert "excluded 1/1: wrong lens (seed 0)" in shown.text


def test_no_name_is_markup(tmp_path):
    planted = [
        *seeds_of("byol", [0.71, 0.72], sweep=f"norm@{HOSTILE}"),
        run("no_norm", 0, 0.5, sweep=f"norm@{HOSTILE}", excluded=HOSTILE),
        run("proj_only", 0, 0.5, sweep=f"norm@{HOSTILE}", state="FAILED", outcome=None),
    ]
    file = write(
        tmp_path / "hostile.db",
        planted,
        root=f"/data/{HOSTILE}",
        question=HOSTILE,
        host=HOSTILE,
        device=HOSTILE,
        job_id=HOSTILE,
        reason=HOSTILE,
        origin=json.dumps({"commit": HOSTILE, "dirty": True, "versions": {}}),
    )
    single = as_html(file, report(file, "mlp_norm"))
    for content in (next(page_files(file))[1], single):
        text = content.decode()
        page = Page(text)
        assert {tag for tag, _ in page.tags}.isdisjoint({"script"})
        assert all("onerror" not in attrs and attrs.get("src") != "x" for _, attrs in page.tags)
        assert "<script>alert(1)</script>" in page.text and "{{ 7 * 7 }}" in page.text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_hostile_folders_of_a_sweep_that_feeds_no_table_stay_in_the_folder(tmp_path):
    names = ["../../evil@<b>", "a/b", "a b", "...", "index.html"]
    planted = [
        each
        for place, name in enumerate(names, start=2)
        for each in seeds_of("byol", [0.5], sweep=name, tables=(), overrides={"epochs": place})
    ]
    file = write(tmp_path / "names.db", planted)
    written = [str(name) for name, _ in page_files(file)]
    assert len(written) == len({*written}) and "index.html" in written
    for name in written:
        assert re.fullmatch(r"(index\.html|[\w-][\w.-]*/table\.(json|md|csv|png))", name), name


def test_a_database_without_sweeps_has_a_page_with_what_is_published(tmp_path):
    file = write(tmp_path / "empty.db", [])
    ((name, content),) = page_files(file)
    page = Page(content.decode())
    assert name == INDEX and "No sweep was launched yet" in page.text
    assert "transfer_depth" in page.text and "published only" in page.text
    assert "74.3" in page.text  # BYOL's own number, which stands in several tables


def test_one_reading_serves_all_tables(db, monkeypatch):
    readings = []
    read = files.opened
    monkeypatch.setattr(files, "opened", lambda *args: readings.append(args) or read(*args))
    for _ in page_files(db):
        pass
    assert len(readings) == 1


def test_the_collector_of_garbage_works_as_before_afterwards(db):
    assert gc.isenabled() and gc.get_freeze_count() == 0
    next(page_files(db))
    assert gc.isenabled() and gc.get_freeze_count() == 0


def test_equal_contents_make_equal_pages(db, monkeypatch):
    monkeypatch.setattr(files, "_now", lambda: "2026-11-26 09:00")
    built = report(db, "mlp_norm")
    assert as_html(db, built) == as_html(db, built)


def test_a_figure_follows_the_readers_screen(db):
    svg = figure._both_schemes(figure._lean("<svg a='1'><g style=\"fill: #0072b2\"/></svg>"))
    assert 'class="s0"' in svg and ".s0{fill: var(--ours, #0072b2)}" in svg
    assert "prefers-color-scheme: dark" in svg and "#56b4e9" in svg


def test_a_drawing_is_made_leaner_and_no_text_in_it_changes():
    drawn = '<svg a="1"><path d="M 10.123456 0.0976"/><text>arXiv 2010.10241, 12.3456</text></svg>'
    assert figure._lean(drawn).endswith(
        '<path d="M 10.12 0.0976"/><text>arXiv 2010.10241, 12.3456</text></svg>'
    )


def test_commands_in_sentences_are_code_and_nothing_else_is_markup():
    made = document._with_code("see `sweep diff <b>` and <i>`")
    assert made == "see <code>sweep diff &lt;b&gt;</code> and &lt;i&gt;`"


def test_a_template_that_names_what_is_not_there_is_refused():
    with pytest.raises(Exception, match="undefined"):
        fill("table.html.j2", made="now")


def command(*words):
    return CliRunner().invoke(app, [*words], catch_exceptions=True)


def test_the_command_writes_the_folder_and_says_where(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("--root", str(root.path), "report", "--all", "--out", "out")
    assert done.exit_code == 0 and "wrote out/index.html" in done.output
    assert (tmp_path / "out" / "index.html").read_bytes().startswith(b"<!DOCTYPE html>")
    manifest = json.loads((tmp_path / "out" / "mlp_norm" / "table.json").read_text())
    assert "runs" in manifest


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--all"], "--all writes a folder: name it"),
        (["--all", "--out", "file"], "--out file: is a file"),
        (["--all", "--out", "o", "--table", "tau"], "--table is for one table"),
        (["--all", "--out", "o", "--format", "md"], "--format is for one table"),
        (["nosuch", "--all", "--out", "o"], "no sweep is called 'nosuch'"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(root, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    done = command("--root", str(root.path), "report", *words)
    assert done.exit_code != 0 and says in str(done.exception)
    assert not (tmp_path / "o" / "index.html").exists()


def test_one_table_is_a_page_too(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("--root", str(root.path), "report", "--table", "mlp_norm", "--out", "t.html")
    assert done.exit_code == 0, done.output
    page = Page((tmp_path / "t.html").read_text())
    assert len(page.all("h1")) == 1 and len(page.all("article")) == 0
