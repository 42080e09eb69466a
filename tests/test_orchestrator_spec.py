"""The spec: what is refused, with file and line; what it expands to."""

from pathlib import Path

import pytest
from conftest import REPO, SPEC

from byol_core.config import canonical
from byol_core.networks.byol import Online
from orchestrator.errors import SpecError, UsageError
from orchestrator.spec import expand, load_sweep
from orchestrator.spec.strict_yaml import read, scalar

# name: (old text, new text, line of the error, part of the error)
REFUSED = {
    "unknown key": ("tables:", "tabels:", 9, "did you mean 'tables'"),
    "missing key": ("seeds: [0, 1]\n", "", 1, "key 'seeds' is missing"),
    "duplicate key": ("baseline: byol\n", "baseline: byol\nbaseline: byol\n", 6, "duplicate key"),
    "later version": ("version: 1", "version: 2", 1, "must be 1"),
    "no preset": ("preset: digits-tiny, ", "", 3, "names no preset"),
    "key without its section": (
        "{projector.norm: none,",
        "{norm: none,",
        8,
        "did you mean 'encoder.norm' or 'predictor.norm' or 'projector.norm'",
    ),
    "misspelt key in a formula": (
        "tables:",
        "derive: {optimizer.lr: 0.2 * batchsize}\ntables:",
        9,
        "did you mean 'batch_size'",
    ),
    "derived key without its section": (
        "tables:",
        "derive: {lr: 0.2 * batch_size}\ntables:",
        9,
        "did you mean 'optimizer.lr'",
    ),
    "seeds that are no list": ("[0, 1]", "3", 4, "3 is not allowed; it must be a list, e.g. [0,"),
    "variant without settings": (
        "{projector.norm: none, predictor.norm: none}",
        "",
        8,
        "null is not allowed; it must be a mapping, e.g. {}",
    ),
    "pair as text": (
        "projector.norm: none,",
        'augment.crop_area: "1,1",',
        8,
        "'1,1' is not allowed; it must be a pair, e.g. [1, 1]",
    ),
    "unknown preset": ("digits-tiny", "digits-tinny", 3, "did you mean 'digits-tiny'"),
    "unknown setting": (
        "projector.norm: bn,",
        "projector.nrm: bn,",
        7,
        "did you mean 'projector.norm'",
    ),
    "unknown value": (
        "projector.norm: bn,",
        "projector.norm: batch,",
        7,
        "'bn', 'ln', 'gn', 'in', 'affine' or 'none', or a part of your own",
    ),
    "setting of the base": ("epochs: 2", "epochs: -2", 3, "greater than or equal to 1"),
    "seed twice": ("[0, 1]", "[0, 0]", 4, "holds one twice"),
    "no seeds": ("[0, 1]", "[]", 4, "must hold at least one value"),
    "negative seed": ("[0, 1]", "[0, -1]", 4, "greater than or equal to 0"),
    "seed as text": ("[0, 1]", "[0, one]", 4, "'one' is not allowed"),
    "baseline that is no variant": ("baseline: byol", "baseline: moco", 5, "'moco' is no variant"),
    "hostile name": ("name: tiny", "name: ../../etc", 2, "is no name"),
    "name with newline": ("name: tiny", 'name: "a\\n#SBATCH --time=99"', 2, "is no name"),
    "hostile variant": ("no_norm:", '"a/b":', 8, "is no name"),
    "resources by another name": ("cpus: 1", "cpu: 1", 10, "did you mean 'cpus'"),
    "partition with a directive": (
        "gpus: 0",
        'gpus: 0, partition: "x\\n#SBATCH"',
        10,
        "is no line",
    ),
    "a date": ("name: tiny", "name: 2026-01-01", 2, "put it in quotes"),
    "a number as key": ("tables:", "7: x\ntables:", 9, "key 7 is no text"),
    "not YAML": ("version: 1", "version: [1", 2, "expected"),
    "a list": (SPEC, "- version: 1\n", 1, "is no mapping"),
    "exclude without reason": (
        "tables:",
        "exclude: [{when: {projector.norm: bn}}]\ntables:",
        9,
        "because",
    ),
    "everything excluded": (
        "  no_norm: {projector.norm: none, predictor.norm: none}\n",
        "exclude: [{when: {projector.norm: bn}, because: test}]\n",
        8,
        "every variant is excluded",
    ),
    "too many runs": (
        "tables:",
        f"grid: {{optimizer.lr: {[i / 1e4 for i in range(1, 9000)]}, epochs: [1, 2]}}\ntables:",
        0,
        "more than 20,000",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_spec_is_refused_with_file_and_line(spec_file, name):
    old, new, line, text = REFUSED[name]
    file = spec_file((old, new))
    with pytest.raises(SpecError) as error:
        expand(load_sweep(file))
    assert str(error.value).startswith(f"{file}:{line}:" if line else str(file)), error.value
    assert text in str(error.value)


def test_the_untouched_spec_is_accepted(spec_file):
    variants = expand(load_sweep(spec_file()))
    assert [variant.name for variant in variants] == ["byol", "no_norm"]
    assert variants[1].config.projector.norm == "none" and variants[1].config.epochs == 2
    assert variants[0].at_seed(7).seed == 7


def test_a_missing_file_says_where_specs_are(tmp_path):
    with pytest.raises(SpecError, match="no such file.*sweeps/"):
        load_sweep(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("3e6", 3e6),
        ("no", "no"),
        ("off", "off"),
        ("none", "none"),
        ("true", True),
        ("010", 10),
        ("[1, 2]", [1, 2]),
    ],
)
def test_yaml_has_no_surprises(text, value):
    assert scalar(text) == value and type(scalar(text)) is type(value)


@pytest.mark.parametrize("name", ["smoke", "smoke.yaml", "sweeps/smoke"])
def test_a_spec_without_folder_or_ending_is_offered(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweeps").mkdir()
    with pytest.raises(SpecError, match="no such file; the specs that come"):
        load_sweep(Path(name))
    (tmp_path / "sweeps" / "smoke.yaml").write_text(SPEC)
    with pytest.raises(SpecError, match="did you mean sweeps/smoke.yaml?"):
        load_sweep(Path(name))


def test_an_alias_bomb_ends_quickly(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * 10) + "]" for i in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(SpecError, match="aliases included"):
        read(tmp_path / "bomb.yaml")


def test_a_huge_file_is_not_read(tmp_path):
    (tmp_path / "huge.yaml").write_bytes(b"#" * (2 << 20))
    with pytest.raises(SpecError, match="larger than 1 MiB"):
        read(tmp_path / "huge.yaml")


def test_grid_is_a_product_with_names_and_excludes(spec_file):
    grid = "grid: {target.tau_base: [0.9, 0.99], optimizer.lr: [0.5, 1.0]}\n"
    rule = "exclude: [{when: {target.tau_base: 0.9, projector.norm: none}, because: test}]\n"
    variants = expand(load_sweep(spec_file(("tables:", grid + rule + "tables:"))))
    names = [variant.name for variant in variants]
    assert len(names) == 6 and names[0] == "byol,target.tau_base=0.9,optimizer.lr=0.5"
    assert not any("no_norm" in name and "0.9," in name for name in names)


def test_a_profile_excludes_besides_the_spec(spec_file):
    grid = "grid: {target.tau_base: [0.9, 0.99]}\n"
    rule = "exclude: [{when: {target.tau_base: 0.9, projector.norm: none}, because: test}]\n"
    profiles = (
        "profiles:\n"
        "  few:\n"
        "    exclude:\n"
        "      - {when: {target.tau_base: 0.99, projector.norm: none}, because: not here}\n"
        "  odd:\n"
        "    exclude:\n"
        "      - {when: {target.tau_base: 0.5}, because: nothing has it}\n"
    )
    file = spec_file(("tables:", grid + rule + profiles + "tables:"))
    assert len(expand(load_sweep(file))) == 3
    assert [variant.row for variant in expand(load_sweep(file, "few"))] == ["byol", "byol"]

    line = (
        file.read_text()
        .splitlines()
        .index("      - {when: {target.tau_base: 0.5}, because: nothing has it}")
    )
    with pytest.raises(SpecError, match=rf":{line + 1}: exclude: no variant matches"):
        expand(load_sweep(file, "odd"))


def test_a_grid_alone_needs_no_variants(spec_file):
    text = SPEC.replace("baseline: byol", "baseline: {target.tau_base: 0.99}")
    text = text[: text.index("variants:")] + "grid: {target.tau_base: [0.9, 0.99]}\n"
    assert [variant.name for variant in expand(load_sweep(spec_file(text=text)))] == [
        "target.tau_base=0.9",
        "target.tau_base=0.99",
    ]


PROFILES = """\
profiles:
  small: {base: {preset: digits-tiny, epochs: 1}, variants: {no_norm: {optimizer.lr: 0.5}}, seeds: [5], resources: {cpus: 3}}
  longer: {base: {epochs: 9}}
"""


def test_a_profile_changes_base_variants_seeds_and_resources(spec_file):
    sweep = load_sweep(spec_file(("tables:", PROFILES + "tables:")), "small")
    byol, no_norm = expand(sweep)
    assert (
        sweep.label == "tiny@small" and sweep.spec.seeds == [5] and sweep.spec.resources.cpus == 3
    )
    assert (byol.config.epochs, byol.config.dataset.limit) == (1, 0)  # a preset replaces the base
    assert (
        byol.config.optimizer.lr,
        no_norm.config.optimizer.lr,
        no_norm.config.projector.norm,
    ) == (1.5, 0.5, "none")


def test_a_profile_without_preset_is_laid_over_the_base(spec_file):
    (byol, _) = expand(load_sweep(spec_file(("tables:", PROFILES + "tables:")), "longer"))
    assert (byol.config.epochs, byol.config.dataset.limit) == (9, 256)


def test_an_unknown_profile_names_the_nearest(spec_file):
    with pytest.raises(UsageError, match="did you mean 'small'"):
        load_sweep(spec_file(("tables:", PROFILES + "tables:")), "smal")


def test_a_profile_that_changes_an_unknown_variant_is_refused(spec_file):
    profile = "profiles:\n  p: {variants: {byoll: {optimizer.lr: 1.0}}}\n"
    with pytest.raises(SpecError, match="did you mean 'byol'"):
        load_sweep(spec_file(("tables:", profile + "tables:")), "p")


def test_overrides_change_every_variant_and_the_label(spec_file):
    sweep = load_sweep(spec_file(), None, {"optimizer.lr": 0.25})
    assert sweep.label.startswith("tiny+") and {v.config.optimizer.lr for v in expand(sweep)} == {
        0.25
    }
    assert load_sweep(spec_file(), None, {"optimizer.lr": 0.5}).label != sweep.label


@pytest.mark.parametrize(
    ("key", "text"), [("projector.norm", "varies 'projector.norm' itself"), ("seed", "use --seeds")]
)
def test_overriding_what_the_sweep_varies_is_refused(spec_file, key, text):
    with pytest.raises(UsageError, match=text):
        load_sweep(spec_file(), None, {key: "bn"})


@pytest.mark.parametrize(
    "file", sorted((REPO / "sweeps").glob("*.yaml")), ids=lambda file: file.stem
)
def test_every_spec_in_sweeps_expands_under_every_profile(file):
    spec = load_sweep(file).spec
    for profile in [None, *spec.profiles]:
        assert expand(load_sweep(file, profile))
    for variant in expand(load_sweep(file, "quick" if "quick" in spec.profiles else None)):
        assert Online(variant.config, 1).encoder.out > 0
    header = file.read_text().split("version:")[0]
    assert all(word in header for word in ("# Question", "# Command", "# Cost", "# Expected"))
    from analysis.papers.rows import load_table

    assert all(load_table(table).rows for table in spec.tables)


@pytest.mark.parametrize("method", ["byol", "simclr", "moco", "random"])
def test_settings_of_a_seed_are_those_of_its_config(spec_file, method):
    """They are told from the variant's, once for all seeds."""
    text = ("byol:    {projector.norm: bn, predictor.norm: bn}", f"byol:    {{method: {method}}}")
    variant = expand(load_sweep(spec_file(text)))[0]
    assert [variant.canonical(seed) for seed in (0, 7)] == [
        canonical(variant.at_seed(seed)) for seed in (0, 7)
    ]


# Rows of one meaning

AXES = """\
version: 1
name: tiny
base: {preset: digits-tiny}
seeds: [0]
baseline: {optimizer.lr: 1.5}
"""


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("grid:\n  optimizer.lr:\n    - 0.002\n    - 2e-3", r":9: grid: .*0\.002 and 2e-3"),
        ("grid: {optimizer.lr: [3, 4, 3.0]}", r":6: grid: optimizer.lr: 3 and 3\.0"),
        ("grid: {optimizer.weight_decay: [0.0, -0.0]}", r"0\.0 and -0\.0"),
        ("grid: {augment.blur_p: [0.2, [0.2, 0.2]]}", r"0\.2 and \[0\.2, 0\.2\]"),
        ("grid: {encoder.gn_groups: [2, 4]}", "gn_groups: 2 and 4 mean the same"),
        ("zip: {optimizer.lr: [3, 4, 3.0], batch_size: [8, 8, 8]}", r"points 1 and 3 \(.*3\.0"),
    ],
)
def test_values_of_one_meaning_are_refused_as_they_are_written(spec_file, lines, message):
    with pytest.raises(SpecError, match=message):
        expand(load_sweep(spec_file(text=AXES + lines)))


def test_two_rows_of_one_meaning_are_refused(spec_file):
    row = "  no_norm: {projector.norm: none, predictor.norm: none}"
    file = spec_file((row, f"{row}\n  twin: {{predictor.norm: none, projector.norm: none}}"))
    with pytest.raises(SpecError, match=r"tiny.yaml:9: variants: 'no_norm' and 'twin'"):
        expand(load_sweep(file))


def test_points_that_mean_the_same_only_here_and_there_share_a_run(spec_file):
    lines = "grid: {encoder.norm: [bn, gn], encoder.gn_groups: [2, 4]}"
    variants = expand(load_sweep(spec_file(text=AXES + lines)))
    assert len(variants) == 4
    assert len({str(variant.canonical()) for variant in variants}) == 3


def test_minus_zero_is_zero_wherever_it_comes_from(spec_file):
    from byol_core.config import resolve
    from orchestrator.spec.strict_yaml import scalar

    assert str(scalar("-0.0")) == "0.0"
    assert str(scalar("[-0.0, 1]")) == "[0.0, 1]"
    assert str(resolve("digits-tiny", {"augment.noise_std": -0.0}).augment.noise_std) == "0.0"
