"""Writes what is made from the program itself: docs/keys.md and sweeps/spec.schema.json.

``make reference`` runs it; a test holds that both files are what it would write.
"""

from pathlib import Path

from analysis.papers.table_names import run_table_ids
from byol_core.config.key_facts import KeyFacts, key_facts
from orchestrator.cli.keys import shown
from orchestrator.spec.schema import SCHEMA_FILE, schema_text

REPO = Path(__file__).parent.parent

_HEAD = """\
# The keys of a run

What a spec may set in `base`, `variants`, `grid`, `zip` and `derive`, and `--set` on the command
line. `sweep keys norm` finds keys by a part of their name, `sweep keys optimizer.lr` shows one. This
page is made from `byol_core/config/train_config.py` by `make reference`; a default is that of
preset `digits-tiny`.

| key | meaning | allowed | default | changed by a preset |
|---|---|---|---|---|
"""


def keys_page() -> str:
    """Return docs/keys.md."""
    rows = [_row(facts) for facts in key_facts().values()]
    return _HEAD + "\n".join(rows) + "\n"


def _row(facts: KeyFacts) -> str:
    presets = "; ".join(f"{preset} `{shown(value)}`" for preset, value in facts.presets.items())
    meaning = facts.meaning.replace("<", "&lt;").replace("|", "\\|")
    cells = [f"`{facts.key}`", meaning, facts.allowed, f"`{shown(facts.default)}`", presets]
    return f"| {' | '.join(cells)} |"


FILES = {
    REPO / "docs" / "keys.md": keys_page,
    REPO / "sweeps" / SCHEMA_FILE: lambda: schema_text(run_table_ids()),
}
"""File → what makes its text."""


if __name__ == "__main__":
    for file, make_text in FILES.items():
        file.write_text(make_text(), encoding="utf-8")
        print(f"wrote {file.relative_to(REPO)}")
