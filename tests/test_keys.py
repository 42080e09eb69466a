"""What a spec may set: the list of keys, its page in the manual, and the JSON Schema for editors."""

import json
import re
import runpy

import pytest
from conftest import REPO
from typer.testing import CliRunner

from byol_core.config import PRESETS, TrainConfig, flatten, resolve
from byol_core.config.key_facts import key_facts
from byol_core.config.resolve import keys
from orchestrator.cli.main import app
from orchestrator.errors import UsageError
from orchestrator.spec.model import Spec

REFERENCE = runpy.run_path(str(REPO / "tools" / "reference.py"))


def asked(*words, width=80):
    done = CliRunner().invoke(app, ["keys", *words], env={"COLUMNS": str(width)})
    if isinstance(done.exception, UsageError):
        return str(done.exception)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_every_key_has_a_meaning_and_says_what_it_may_hold():
    assert tuple(key_facts()) == keys()
    for facts in key_facts().values():
        assert len(facts.meaning) > 8, f"{facts.key}: give its field a description"
        assert facts.allowed and "None" not in facts.allowed


def test_the_facts_are_those_of_the_config():
    defaults = flatten(TrainConfig().model_dump(mode="json"))
    for facts in key_facts().values():
        assert facts.default == defaults[facts.key]
        for preset in PRESETS:
            value = flatten(resolve(preset, {}).model_dump(mode="json"))[facts.key]
            assert facts.presets.get(preset, facts.default) == value
            assert (preset in facts.presets) == (value != facts.default)


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("projector.norm", "bn, ln, gn, in, affine, none or package.module:Class"),
        ("optimizer.lr", "number above 0"),
        ("optimizer.momentum", "number from 0, below 1"),
        ("dataset.side", "whole number from 8 to 4096"),
        ("projector.out_bias", "true or false"),
        ("dataset.path", "text or null"),
        ("augment.crop_area", "[a, b], each a number from 0 to 1"),
        ("augment.blur_p", "number from 0 to 1 or [a, b], each a number from 0 to 1"),
    ],
)
def test_what_is_allowed_is_said_in_words(key, allowed):
    assert key_facts()[key].allowed == allowed


def test_a_key_that_takes_a_part_of_ones_own_still_names_the_others():
    assert key_facts()["projector.norm"].choices == ["bn", "ln", "gn", "in", "affine", "none"]
    assert key_facts()["dataset.path"].choices == [] and key_facts()["seed"].choices == []


def test_keys_lists_all_and_finds_by_a_part_of_the_name():
    assert [line.split()[0] for line in asked(width=1000).splitlines()] == [*keys()]
    found = {line.split()[0] for line in asked("NORM").splitlines() if "." in line.split()[0]}
    assert {"encoder.norm", "projector.norm", "augment.normalize"} <= found
    assert "optimizer.lr" not in found


def test_one_key_is_shown_with_range_default_meaning_presets_and_an_example():
    text = asked("optimizer.lr")
    for part in ("learning rate", "number above 0", "1.5", "in stl10-r18-blog", "0.8", "--set"):
        assert part in text
    (example,) = re.findall(r"--set (\S+)=(\S+)", text)
    resolve("digits-tiny", {example[0]: float(example[1])})


def test_the_list_fits_a_terminal(monkeypatch):
    class Narrow:
        width = 80

    monkeypatch.setattr("orchestrator.cli.keys.make_console", Narrow)
    assert max(map(len, asked().splitlines())) <= 80


@pytest.mark.parametrize(
    ("word", "hint"),
    [("projector.nrom", "'projector.norm'"), ("nrom", "'norm'"), ("zzz", "`sweep keys`")],
)
def test_a_misspelt_key_gets_the_nearest(word, hint):
    text = asked(word)
    assert repr(word) in text and hint in text and "\n" not in text


def test_json_holds_the_same():
    (facts,) = json.loads(asked("target.tau_base", "--json"))
    assert set(facts) == {"key", "meaning", "allowed", "schema", "default", "presets"}
    assert facts["schema"] == {"type": "number", "minimum": 0, "maximum": 1}
    assert len(json.loads(asked("--json"))) == len(keys())


@pytest.mark.parametrize("file", REFERENCE["FILES"], ids=lambda file: file.name)
def test_what_is_made_from_the_program_is_up_to_date(file):
    assert file.read_text() == REFERENCE["FILES"][file](), "run: make reference"


SCHEMA = json.loads((REPO / "sweeps" / "spec.schema.json").read_text())


def test_the_schema_knows_every_part_of_a_spec_and_every_key():
    assert set(SCHEMA["properties"]) == set(Spec.model_fields)
    settable = set(keys()) - {"seed"}
    for name in ("Keys", "Axes", "Formulas"):
        assert set(SCHEMA["$defs"][name]["properties"]) == settable
    assert set(SCHEMA["$defs"]["Base"]["properties"]) == settable | {"preset"}
    assert SCHEMA["$defs"]["Base"]["properties"]["preset"]["enum"] == [*PRESETS]
    norm = SCHEMA["$defs"]["Keys"]["properties"]["projector.norm"]
    named, own = norm["anyOf"]
    assert named["enum"] == ["bn", "ln", "gn", "in", "affine", "none"] and norm["description"]
    assert re.fullmatch(own["pattern"], "package.module:Class")


def test_only_options_of_sbatch_may_be_anything():
    """A new part of a spec that holds keys must be named in orchestrator/spec/schema.py."""

    def anything(schema, path=()):
        if isinstance(schema, dict):
            if schema.get("additionalProperties") is True:
                yield path[-1]
            for name, inner in schema.items():
                yield from anything(inner, (*path, name))

    assert set(anything(SCHEMA)) == {"sbatch"}


def test_the_schema_takes_the_specs_and_refuses_mistakes():
    jsonschema = pytest.importorskip("jsonschema")
    from orchestrator.spec.strict_yaml import read, scalar

    validator = jsonschema.Draft202012Validator(SCHEMA)
    for file in (REPO / "sweeps").glob("*.yaml"):
        assert not list(validator.iter_errors(read(file).values))
    spec = read(REPO / "sweeps" / "smoke.yaml").values
    for part in ("{base: {}}", "{grid: {epochs: 3}}", "{variants: {a: {projector.nrom: bn}}}"):
        assert list(validator.iter_errors(spec | scalar(part)))


@pytest.mark.parametrize("file", sorted((REPO / "sweeps").glob("*.yaml")), ids=lambda f: f.name)
def test_the_first_line_of_a_spec_leads_an_editor_to_the_schema(file):
    (target,) = re.findall(
        r"^# yaml-language-server: \$schema=(\S+)$", file.read_text().splitlines()[0]
    )
    assert (file.parent / target).is_file()
