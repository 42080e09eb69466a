"""The page in a browser: axe finds nothing, it fits a phone, unfolds by keyboard, and asks for nothing.

Needs Debian's own Chromium and the package axe-playwright-python; nothing is downloaded.
"""

import shutil

import pytest
from planted import run, seeds_of
from planted_database import write

from analysis.page import contents as page_contents
from analysis.page.files import page_files

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TABLES = ["mlp_norm", "norm", "transfer_depth", "places365"]
"""The last has 13 columns of what is published, more than any other."""
LOOKS = [(1280, "light"), (1280, "dark"), (768, "light"), (375, "dark"), (320, "light")]


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not here (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with marks of all kinds, long names, failed runs, and tables without runs."""
    folder = tmp_path_factory.mktemp("browser")
    runs = [
        *seeds_of("byol", [0.71, 0.72, 0.73]),
        *seeds_of("no_norm", [0.11, 0.12, 0.13], spread=0.01),
        *seeds_of("layer_norm", [0.4, 0.5]),
        run("proj_only", 0, 0.5, excluded="W" * 300),
        run("proj_only", 1, state="FAILED", outcome=None, evaluations={}, final={}),
        run("contrastive", 0, outcome="diverged", evaluations={}),
        run("random", 0, 0.3),
    ]
    write(folder / "results.db", runs, question="Does it? " * 20, reason="burned " * 50)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_contents, "table_ids", lambda: TABLES)
        content = next(page_files(str(folder / "results.db")))[1]
    (folder / "index.html").write_bytes(content)
    return f"file://{folder}/index.html"


@pytest.fixture
def visit(browser, address):
    pages = []

    def call(width=1280, scheme="light", unfolded=True, **options):
        page = browser.new_page(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        pages.append(page)
        page.goto(address)
        if unfolded:
            page.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
        return page

    yield call
    for page in pages:
        page.close()


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_axe_finds_nothing(visit, width, scheme):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python"
    )
    found = axe.Axe().run(visit(width, scheme))
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", [1280, 768, 375, 320])
@pytest.mark.parametrize("unfolded", [False, True])
def test_the_page_never_scrolls_sideways_but_its_tables_do(visit, width, unfolded):
    page = visit(width, unfolded=unfolded)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    table = page.locator("article .scroll").first
    assert table.evaluate("it => it.getBoundingClientRect().right") <= width
    hint = page.locator("article .hint").first
    is_wider = table.evaluate("it => it.scrollWidth > it.clientWidth")
    assert hint.is_visible() or not is_wider


@pytest.mark.parametrize(
    ("width", "wide"), [(1280, ["Table norm"]), (360, ["Table norm", "Published table places365"])]
)
def test_every_wide_table_scrolls_in_its_own_box(visit, width, wide):
    page = visit(width)
    boxes = page.locator(".scroll").all()
    wider = []
    for box in boxes:
        edges = box.evaluate(
            "it => [it.getBoundingClientRect().left, it.getBoundingClientRect().right]"
        )
        assert edges[0] >= 0 and edges[1] <= width
        if box.evaluate("it => it.scrollWidth > it.clientWidth"):
            wider.append(box)
            assert box.evaluate("it => (it.scrollLeft = 99999, it.scrollLeft)") > 0
            assert page.evaluate("window.scrollTo(99999, scrollY), window.scrollX") == 0

    labels = [box.get_attribute("aria-label") for box in wider]
    assert len(boxes) > len(TABLES)
    for name in wide:
        assert any(label.startswith(name) for label in labels)
    hint = page.get_by_text("Tables wider than the screen scroll sideways.")
    assert hint.is_visible() == ("Published table places365" in labels)


def test_it_asks_for_nothing_and_complains_of_nothing(visit, address):
    page = visit(java_script_enabled=False, unfolded=False)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(address)
    assert [url for url in asked if not url.startswith("data:")] == [address] and said == []


def test_figures_are_drawn_and_follow_the_scheme(visit):
    pictures = []
    for scheme in ("light", "dark"):
        image = visit(scheme=scheme).locator("figure img").first
        assert image.evaluate("it => it.complete && it.naturalWidth > 100")
        pictures.append(image.screenshot())
    assert pictures[0] != pictures[1]


def test_a_row_unfolds_by_keyboard_and_the_first_stop_leads_to_the_content(visit):
    page = visit(unfolded=False)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("details.trail > summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("table.runs").first.is_visible()


def test_paper_shows_what_is_folded(visit):
    page = visit(unfolded=False)
    page.emulate_media(media="print")
    assert page.locator("table.runs").first.is_visible()
    assert not page.locator("nav").is_visible()
