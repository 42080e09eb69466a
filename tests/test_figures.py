"""Figures: what they show of each row, that nothing leaves the canvas, and that they stay the same."""

import io
import itertools
import math
import warnings
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from planted import MLP_NORM, report, run, seeds_of

from analysis.figures import axis, cosines, curves, drop, facts, heat_map, over_time
from analysis.figures import table as rows
from analysis.figures.curve_lines import curve_label, curve_of
from analysis.figures.files import FIGURE_FORMATS
from analysis.figures.fit import fitted, text_width
from analysis.figures.kinds import KINDS, NoFigureError, description, draw, figures_of
from analysis.figures.over_axis.groups import groups_of
from analysis.figures.over_axis.values import Axis, axes_of, scale_of
from analysis.figures.standing import Standing, standing_of
from analysis.figures.style import DARK_THEME, LIGHT, LIGHT_THEME, SERIES, Look, drawing
from analysis.papers.printed import Published
from analysis.papers.rows import (
    TableFileError,
    load_table,
    read_table,
    run_table_ids,
    table_of_sweep,
)
from analysis.papers.table_rows import FIGURES

SMALL = Look(dpi=50)
NARROW = Look(DARK_THEME, width=4.5, dpi=50)
HOSTILE = "$x^2$ _a_ \\frac{ <b>&amp; %s {} \n \x1b[31m\u202e"
MAGIC = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


def planted(of=MLP_NORM):
    """A report with a row of every standing."""
    return report(
        *seeds_of("byol", [0.70, 0.71, 0.69]),
        *seeds_of("proj_only", [0.60, 0.62]),
        run("proj_only", 2, state="RUNNING", outcome=None, evaluations={}, final={}),
        *seeds_of("no_norm", [0.10, 0.11, 0.12], spread=0.01),
        run("layer_norm", 0, 0.1, spread=0.01),
        run("layer_norm", 1, 0.61),
        run("layer_norm", 2, 0.60),
        run("contrastive", 0, outcome="diverged", evaluations={}),
        *seeds_of("random", [0.30, 0.31]),
        of=of,
    )


def with_series(built, points=20, metric_of=lambda run_id, step: math.exp(-step / 10)):
    """A report whose runs have logged every metric."""

    def series(metric, run_ids):
        for number, run_id in enumerate(run_ids):
            for step in range(points):
                yield run_id, 10 * step, 1, metric_of(run_id, step) + number / 100

    return replace(built, series=lambda metric, run_ids: [*series(metric, run_ids)])


def of_axis(name, key, values, others=()):
    """A report of a table over an axis: three seeds at each value."""
    runs = [
        run("byol", seed, 0.5 + 0.05 * number + 0.01 * seed, overrides={key: value})
        for number, value in enumerate(values)
        for seed in range(3)
    ]
    return report(*runs, *others, of=load_table(name))


@pytest.fixture(scope="module")
def full():
    return with_series(planted())


@pytest.fixture(scope="module")
def lambda_mu():
    runs = []
    for lambda_, mu in [(1.0, 1.0), (2.0, 1.0), (10.0, 10.0)]:
        overrides = {
            "target.tau_base": 0.0,
            "optimizer.lambda_predictor": lambda_,
            "optimizer.mu_projector": mu,
        }
        runs += [run("byol", seed, 0.4 + lambda_ / 50, overrides=overrides) for seed in range(2)]
    return report(*runs, of=load_table("lambda_mu"))


def hostile(built):
    """The same report, with hostile and long labels, title, source and setting."""
    lines = [
        replace(line, row=replace(line.row, label=f"{number} {HOSTILE} {'W' * 60}"))
        for number, line in enumerate(built.table.lines)
    ]
    keys = {line.row.key: line.row for line in lines}
    printed = replace(built.table.rows.printed, source=HOSTILE * 9, setting="W" * 300)
    table_rows = replace(built.table.rows, rows=keys, title=HOSTILE * 5, printed=printed)
    frame = built.frame.copy()
    frame["label"] = [keys[row].label for row in frame["row"]]
    return replace(built, table=replace(built.table, rows=table_rows, lines=lines), frame=frame)


def report_for(kind, full, lambda_mu):
    return lambda_mu if kind in ("heat_map", "axis") else full


def artists(figure, gid):
    """The artists of a name in all panels of a figure, panel by panel."""
    return [
        [artist for artist in axes.get_children() if artist.get_gid() == gid]
        for axes in figure.axes
    ]


def texts(figure):
    """All that is written in a figure."""
    found = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [text.get_text() for text in found if text.get_text()]


def made(module, built, look=SMALL, **kwargs):
    with drawing(look):
        return module.figure(built, look, **kwargs)


# Every kind


@pytest.mark.parametrize("format_", FIGURE_FORMATS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_every_kind_has_every_format_and_always_the_same_bytes(kind, format_, full, lambda_mu):
    built = report_for(kind, full, lambda_mu)
    content = draw(built, kind, format_, SMALL)
    assert content.startswith(MAGIC[format_])
    assert b"CreationDate" not in content and b"dc:date" not in content
    if kind == "rows":
        assert draw(built, kind, format_, SMALL) == content


@pytest.mark.parametrize("look", [SMALL, NARROW])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_leaves_the_canvas_and_no_text_is_a_formula(kind, look, full, lambda_mu):
    built = hostile(report_for(kind, full, lambda_mu))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        content = draw(built, kind, "png", look)

    # A border of some pixels is blank.
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    background = [int(look.theme.background[place : place + 2], 16) for place in (1, 3, 5)]
    is_ink = (np.abs(pixels - np.array(background)) > 8).any(axis=2)
    border = 4
    assert is_ink[border:-border, border:-border].any()
    for edge in (is_ink[:border], is_ink[-border:], is_ink[:, :border], is_ink[:, -border:]):
        assert not edge.any()


def test_hostile_text_is_drawn_as_it_is_but_for_what_steers(full):
    written = "".join(texts(made(rows, hostile(full), replace(LIGHT, width=30.0))))
    assert "$x^2$ _a_ \\frac{ <b>&amp; %s {} \ufffd" in written
    assert not {"\x1b", "\u202e"} & {*written}


@pytest.mark.parametrize("kind", ["rows", "axis"])
def test_what_a_user_has_set_for_matplotlib_changes_no_figure(kind, full, lambda_mu):
    built = report_for(kind, full, lambda_mu)
    content = draw(built, kind, "svg", SMALL)
    users = {"text.usetex": True, "figure.dpi": 30, "axes.facecolor": "red", "lines.marker": "x"}
    with mpl.rc_context(users):
        assert draw(built, kind, "svg", SMALL) == content
        assert mpl.rcParams["axes.facecolor"] == "red"


def test_letters_of_an_svg_may_stay_text(full):
    paths = draw(full, "rows", "svg", SMALL)
    letters = draw(full, "rows", "svg", replace(SMALL, text_as_paths=False))
    assert b">Layer norm</text>" in letters and len(letters) < len(paths) / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["tau", "linear_eval_resnet50"])
def test_a_table_without_runs_has_figures_of_what_is_published_or_says_why_not(kind, name):
    built = report(of=load_table(name))
    if not KINDS[kind].is_possible(built):
        with pytest.raises(NoFigureError, match=f"table {name} has no figure {kind}: .*; it has: "):
            draw(built, kind)
        return
    assert draw(built, kind, "svg", SMALL).startswith(b"<?xml")


def test_a_table_of_ones_own_without_a_published_side_has_figures(full):
    plain = {key: replace(row, published=Published()) for key, row in MLP_NORM.rows.items()}
    built = planted(of=replace(MLP_NORM, printed=None, rows=plain))
    (panel,) = made(rows, built).axes
    assert panel.get_title("left") == "ours: digits, tiny"
    assert draw(built, "drop", "svg", SMALL)
    assert description(built, "rows").endswith("; nothing is published for it")


def test_kinds_are_those_that_a_tables_file_may_name():
    assert tuple(KINDS) == FIGURES
    assert load_table("mlp_norm").figures[:3] == ("rows", "drop", "cosines")
    assert load_table("linear_eval_resnet50").figures == ("rows", "drop")
    assert "heat_map" in load_table("lambda_mu").figures
    text = "rows: {a: {match: {method: byol}}}\nfigures: [rows, axes]\n"
    with pytest.raises(
        TableFileError, match=r"mine: figures: no figure is called 'axes'; .*'axis'"
    ):
        read_table(text, "mine", "mine")


@pytest.mark.parametrize("name", run_table_ids())
def test_a_table_declares_figures_that_it_can_have(name):
    built = with_series(report(run("byol", 0), of=load_table(name)))
    declared = [kind for kind in built.table.rows.figures if not kind.endswith("over_time")]
    known = [kind for kind in figures_of(built) if not kind.endswith("over_time")]
    assert [kind for kind in declared if kind != "cosines"] == [
        kind for kind in known if kind != "cosines"
    ]


def test_an_unknown_kind_names_the_nearest(full):
    with pytest.raises(
        NoFigureError, match="no figure is called 'heatmap'; did you mean 'heat_map'"
    ):
        draw(full, "heatmap")
    with pytest.raises(
        NoFigureError, match="mlp_norm has no figure axis: .*; it has: rows, drop, cos"
    ):
        draw(full, "axis")


# Style


@pytest.mark.parametrize("theme", [LIGHT_THEME, DARK_THEME])
def test_colours_stand_out_and_series_differ_without_them(theme):
    def brightness(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(colour):
        pair = sorted([brightness(colour), brightness(theme.background)])
        return (pair[1] + 0.05) / (pair[0] + 0.05)

    assert min(contrast(colour) for colour in (theme.ink, theme.muted)) > 4.5
    assert min(contrast(c) for c in (theme.ours, theme.published, *theme.palette)) > 3
    styles = [Look(theme).series(number) for number in range(3 * SERIES)]
    for part in ("marker", "line", "hatch", "colour"):
        assert len({str(getattr(style, part)) for style in styles[:SERIES]}) == SERIES
    assert len({(style.colour, str(style.line)) for style in styles}) == 3 * SERIES


@pytest.mark.parametrize("width", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("text", ["W" * 60, "a b c d e f g " * 9, HOSTILE, "", "äöü ≈ ± √ " * 8])
def test_fitted_text_fits_and_loses_nothing_unless_it_is_cut(text, width):
    lines = fitted(text, width).split("\n")
    assert all(text_width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(fitted(text, 999.0).split())
    cut = fitted(text, width, lines=2).split("\n")
    assert len(cut) <= 2 and all(text_width(line) <= width for line in cut)
    assert cut[-1].endswith("…") == (len(lines) > 2)


# Rows


def test_rows_stand_in_the_tables_order_and_differ_by_how_they_stand(full):
    lines = {line.row.key: line for line in full.table.lines}
    standings = {key: standing_of(line) for key, line in lines.items()}
    assert standings == {
        "contrastive": Standing.EMPTY,
        "byol": Standing.DONE,
        "proj_only": Standing.INCOMPLETE,
        "pred_only": Standing.EMPTY,
        "no_norm": Standing.COLLAPSED,
        "layer_norm": Standing.SPLIT,
        "random": Standing.DONE,
    }

    figure = made(rows, full)
    means = artists(figure, "mean")[0]
    assert [mean.get_xdata()[0] for mean in means] == pytest.approx([70, 61, 11, 30.5])
    assert [mean.get_marker() for mean in means] == ["o", "o", "X", "o"]
    hollow = [mean.get_markerfacecolor() == LIGHT_THEME.background for mean in means]
    assert hollow == [False, True, False, False]
    heights = [mean.get_ydata()[0] for mean in means]
    assert (
        heights == sorted(heights) and figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]
    )
    assert len(artists(figure, "empty")[0]) == 2

    # What is not simply done says so in words.
    written = " ".join(" ".join(texts(figure)).split())
    assert "61.0 ±12.7 (n 2), running 2/3" in written
    assert "10.0 61.0 60.0, split 1/3" in written
    assert "diverged 1/1" in written and "absent" in written and "collapsed 3/3" in written


def test_intervals_and_seeds_are_those_of_the_report(full):
    figure = made(rows, full)
    ends = [interval.get_xdata() for interval in artists(figure, "interval")[0]]
    main = full.main[full.main["ci95_low"].notna()]
    assert np.array(ends, dtype=float) == pytest.approx(
        100 * main[["ci95_low", "ci95_high"]].to_numpy(dtype=float)
    )
    seeds = [sorted(line.get_xdata()) for line in artists(figure, "seeds")[0]]
    assert seeds[0] == pytest.approx([69, 70, 71]) and len(seeds) == 5
    assert seeds[3] == pytest.approx([10, 60, 61])  # a split row's, which has no mean


def test_another_setting_has_an_axis_of_its_own_with_its_chance():
    built = of_axis("tau", "target.tau_base", [0.99, 0.9])
    figure = made(rows, built)
    assert [panel.get_title("left") for panel in figure.axes] == [
        "ours: digits, tiny",
        "published: imagenet, resnet50",
    ]
    chances = [lines[0].get_xdata()[0] for lines in artists(figure, "chance")]
    assert chances == pytest.approx([10, 0.1])
    assert "chance (ours 10%, published 0.1%)" in texts(figure)
    footer = " ".join(" ".join(texts(figure)).split())
    assert "Another setting than the published (dataset.name digits for imagenet" in footer
    assert "n = 3 seeds" in footer and "Grill et al. 2020" in footer and "setting " in footer


def test_the_published_setting_shares_our_axis():
    same = {"dataset.name": "stl10", "encoder.arch": "resnet18", "epochs": 10}
    built = report(run("byol", 0, 0.55, overrides=same))
    (panel,) = made(rows, built).axes
    assert panel.get_title("left") == "ours and published: stl10, resnet18"
    (ours,) = [artist for artist in panel.lines if artist.get_gid() == "mean"]
    published = [artist for artist in panel.lines if artist.get_gid() == "published"]
    assert ours.get_xdata()[0] == pytest.approx(55) and len(published) == 7
    assert published[1].get_ydata()[0] == ours.get_ydata()[0]


def test_an_axis_of_accuracies_ends_where_they_do():
    """The interval of two seeds reaches beyond 100 percent."""
    built = report(*seeds_of("byol", [0.5, 0.9]))
    assert built.main["ci95_high"].max() > 2
    assert made(rows, built).axes[0].get_xlim()[1] < 107
    two = [run("byol", seed, value) for seed, value in enumerate([0.5, 0.9])]
    assert made(axis, report(*two, of=load_table("tau"))).axes[0].get_ylim()[1] < 107


def test_the_untrained_control_is_a_line_of_both_panels(full):
    controls = artists(made(rows, full), "control")
    assert [lines[0].get_xdata()[0] for lines in controls] == pytest.approx([30.5, 28.8])


def test_a_printed_bound_is_no_value():
    figure = made(rows, report(of=load_table("init")))
    (bounds,) = artists(figure, "bound")
    assert len(bounds) == 2 and bounds[0].get_xdata()[0] == pytest.approx(72)
    assert "above 72" in texts(figure)


# Differences


def test_differences_have_the_reports_intervals_and_the_baseline_is_zero(full):
    figure = made(drop, full)
    ours = {mean.get_ydata()[0]: mean.get_xdata()[0] for mean in artists(figure, "mean")[0]}
    assert [*ours.values()] == pytest.approx([0, -9.5, -59, -26.333], abs=0.01)
    ends = [interval.get_xdata() for interval in artists(figure, "interval")[0]]
    main = full.main[full.main["delta_low"].notna()]
    assert np.array(ends, dtype=float) == pytest.approx(
        100 * main[["delta_low", "delta_high"]].to_numpy(dtype=float)
    )
    assert len(ends) == 2  # none for the split row
    assert "published" in texts(figure) and "another source" not in " ".join(texts(figure))
    published = [line.get_xdata()[0] for line in artists(figure, "published")[1]]
    assert published == pytest.approx([0, 55.3 - 57.7, 48 - 57.7, 28.3 - 57.7, 29.4 - 57.7])


# Over an axis


def test_values_stand_sensibly_on_their_axis():
    tau = Axis("target.tau_base", {"a": 0.0, "b": 0.9, "c": 0.99, "d": 0.999, "e": 1.0}, {})
    scale = scale_of(tau, 6.0, 0.3)
    places = [scale.places[step] for step in tau.steps]
    assert places[:4] == pytest.approx([0, 1, 2, 3]) and places[4] > 3.5
    assert 3 < scale.breaks[0] < places[4] and scale.words == "spaced by 1 − τ"

    ratio = Axis(
        "optimizer.lambda_predictor", dict(zip("abcd", [0.0, 1.0, 10.0, 20.0], strict=True)), {}
    )
    scale = scale_of(ratio, 6.0, 0.3)
    assert scale.places[0.0] < scale.breaks[0] < scale.places[1.0] == 0
    assert scale.places[10.0] == pytest.approx(1) and scale.words == "logarithmic"

    depth = Axis("projector.depth", dict(zip("abc", [1.0, 2.0, 3.0], strict=True)), {})
    assert [*scale_of(depth, 6.0, 0.3).places.values()] == [1, 2, 3]
    crowded = scale_of(ratio, 0.9, 0.3)
    assert [*crowded.places.values()] == [0, 1, 2, 3] and crowded.words == "equally spaced"


@pytest.mark.parametrize(
    "values", [[0.1, 0.2, 0.3], [0.0, 1.0, 2.0, 10.0, 20.0], [1e-7, 5e-7, 0.0]]
)
def test_the_order_on_an_axis_is_that_of_its_values(values):
    wide = Axis("optimizer.weight_decay", dict(enumerate(values)), {})
    for width in (0.5, 3.0, 8.0):
        places = scale_of(wide, width, 0.3).places
        ordered = [places[value] for value in sorted(values)]
        assert ordered == sorted(ordered) and len({*ordered}) == len(values)


def test_the_band_over_an_axis_is_the_interval_of_each_row():
    values = [0.0, 0.9, 0.99, 0.999]
    built = of_axis("tau", "target.tau_base", values)
    figure = made(axis, built)
    low, high = artists(figure, "band")[0]
    main = built.main[built.main["n"] == 3].iloc[::-1]  # the table begins at the largest
    assert np.array(low.get_ydata(), dtype=float)[:4] == pytest.approx(
        100 * main["ci95_low"].to_numpy(dtype=float)
    )
    assert np.array(high.get_ydata(), dtype=float)[:4] == pytest.approx(
        100 * main["ci95_high"].to_numpy(dtype=float)
    )
    means = [mean.get_ydata()[0] for mean in artists(figure, "mean")[0]]
    assert means == pytest.approx([51, 56, 61, 66])
    assert figure.axes[0].get_xlabel().startswith("τ, decay of the target")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == [
        "0", "0.9", "0.99", "0.999", "1",
    ]  # fmt: skip
    assert artists(figure, "band")[1] == []  # a published ± is no band


def test_rows_beside_an_axis_are_levels_over_it():
    key = "optimizer.lambda_predictor"
    baseline = [run("byol", seed, 0.8 + seed / 100) for seed in range(3)]
    copies = [
        run("byol", seed, 0.5, overrides={"target.tau_base": 0.0, key: value})
        for value in (1.0, 2.0)
        for seed in range(2)
    ]
    built = report(*baseline, *copies, of=load_table("lambda"))
    (lambda_axis,) = axes_of(built)
    groups = groups_of(built, lambda_axis)
    assert [group.is_level for group in groups] == [False, True]
    assert len(groups[0].lines) == 5 and groups[1].lines[0].row.key == "baseline"
    levels = artists(made(axis, built), "level")
    assert levels[0][0].get_ydata()[0] == pytest.approx(81)
    assert levels[1][0].get_ydata()[0] == pytest.approx(72.5)


def test_no_more_levels_are_drawn_than_can_be_told_apart():
    figure = made(axis, report(run("byol", 0), of=load_table("init")))
    assert max(map(len, artists(figure, "level"))) <= 4
    written = " ".join(" ".join(texts(figure)).split())
    assert (
        "Not drawn, since they stand beside the axis: " in written and "Data-dependent" in written
    )


def test_a_lone_row_takes_its_free_place_on_the_line():
    """The constant random target of table tau starts another way, and still is τ = 1."""
    built = report(of=load_table("tau"))
    groups = groups_of(built, axes_of(built)[0])
    assert len(groups[0].lines) == 5 and groups[0].lines[-1].row.key == "tau_1"
    assert [group.lines[0].row.key for group in groups[1:]] == ["random"]


def test_lines_are_named_by_what_tells_them_apart():
    built = report(of=load_table("init"))
    names = [group.label for group in groups_of(built, axes_of(built)[0]) if not group.is_level]
    assert names == ["encoder.norm = bn", "encoder.norm = none"]
    built = report(of=load_table("lambda_mu"))
    names = [group.label for group in groups_of(built, axes_of(built)[0])]
    assert names == ["μ = 1", "μ = 1.5", "μ = 2", "μ = 5", "μ = 10"]


def test_two_methods_are_two_lines():
    built = report(of=load_table("batch_size"))
    groups = groups_of(built, axes_of(built)[0])
    assert [group.label for group in groups] == ["BYOL", "SimCLR"]
    assert all(len(group.lines) == 7 for group in groups)


def test_rows_that_agree_in_nothing_else_are_no_line():
    """Those of a random search: a line through them would show what nothing has measured."""
    variants = {
        f"trial{number}": {
            "method": "byol",
            "optimizer.lr": 0.1 * number,
            "batch_size": 32 * number,
        }
        for number in range(1, 6)
    }
    searched = report(of=table_of_sweep("search", variants, "trial1"))
    assert axes_of(searched)[0].twins == ("batch_size",)
    variants["trial6"] = {"method": "byol", "optimizer.lr": 0.6, "batch_size": 32}
    searched = report(of=table_of_sweep("search", variants, "trial1"))
    assert not axis.is_possible(searched) and "axis" not in figures_of(searched)

    rates = {f"lr{rate}": {"method": "byol", "optimizer.lr": rate} for rate in (0.1, 0.2, 0.3)}
    assert "axis" in figures_of(report(of=table_of_sweep("rates", rates, "lr0.1")))


def test_widths_that_move_together_are_one_axis():
    (width,) = axes_of(report(of=load_table("projection_dim")))
    assert width.key == "projector.out" and width.twins == ("predictor.out",)


def test_our_rates_and_the_printed_ones_have_their_own_names():
    built = of_axis("learning_rate", "optimizer.lr", [20.0, 33.3])
    ours, published = made(axis, built, LIGHT).axes
    names = [[tick.get_text() for tick in panel.get_xticklabels()] for panel in (ours, published)]
    assert names[0] == ["0.667", "6.67", "13.3", "20", "26.7", "33.3", "66.7"]
    assert names[1] == ["0.01", "0.1", "0.2", "0.3", "0.4", "0.5", "1"]
    assert len(artists(made(axis, built), "empty")[0]) == 5


def test_an_axis_that_does_not_go_down_to_chance_says_so():
    flat = made(axis, of_axis("tau", "target.tau_base", [0.99, 0.9]))
    assert "Chance, 10, lies below this axis" in " ".join(flat.axes[0].get_xlabel().split())
    assert flat.axes[0].get_ylim()[0] > 10 and artists(flat, "chance")[0] == []
    (chance,) = artists(flat, "chance")[1]
    assert chance.get_ydata()[0] == pytest.approx(0.1)


# Heat maps


def test_a_heat_map_has_a_cell_for_each_row_with_its_value(lambda_mu):
    figure = made(heat_map, lambda_mu)
    ours, published = figure.axes[0], figure.axes[2] if len(figure.axes) > 2 else figure.axes[1]
    assert len(figure.axes) == 4  # two maps, each with its own scale
    cells = artists(figure, "cell")
    assert sorted(map(len, cells)) == [0, 0, 3, 25]
    assert sorted(map(len, artists(figure, "empty"))) == [0, 0, 0, 22]
    written = [text.get_text() for panel in (ours, published) for text in panel.texts]
    assert "42.0" in written[0] and any("60.0" in text for text in written)


def test_a_row_without_one_of_the_numbers_is_a_bar_over_all_columns():
    figure = made(heat_map, report(of=load_table("beta_temperature")))
    widths = {round(cell.get_width(), 1) for cell in artists(figure, "cell")[0]}
    assert len(widths) == 2 and max(widths) == pytest.approx(6 - 0.06, abs=0.1)


# Cosines


def test_cosines_are_a_pair_of_bars_for_each_row(full):
    figure = made(cosines, full)
    ours, published = artists(figure, "bar")
    values = [bar.get_width() for bar in ours]
    assert values[:2] == pytest.approx([0.9, 0.2]) and len(values) == 8
    assert [bar.get_hatch() or "" for bar in ours[:2]] == ["", "//////"]
    assert [bar.get_width() for bar in published[2:4]] == pytest.approx([0.88, 0.27], abs=0.02)
    assert "no cosines, absent" in texts(figure)


# Over training


def test_seeds_of_a_row_are_one_line_with_a_band(full):
    figure = made(over_time, full, metrics=["loss"])
    (curves,) = artists(figure, "curve")
    lines = [line for line in full.table.lines if line.word != "absent"]
    assert len(curves) == len(lines)
    (bands,) = artists(figure, "band")
    several = [line for line in lines if len(line.runs) > 1]
    assert len(bands) == 2 * len(several)

    # Run number k of the series lies k hundredths above the first.
    byol = next(number for number, line in enumerate(lines) if line.row.key == "byol")
    mean = curves[byol].get_ydata()
    place = sum(line.row.key != "byol" for line in several[: several.index(lines[byol])])
    low, high = bands[2 * place].get_ydata(), bands[2 * place + 1].get_ydata()
    assert np.array(high) - np.array(low) == pytest.approx(0.02)
    assert np.array(mean) == pytest.approx((np.array(low) + np.array(high)) / 2)


def test_lines_of_few_points_say_so(full):
    few = made(over_time, with_series(full, points=3), metrics=["std_sqrt_d"])
    labels = [text.get_text() for text in few.axes[0].get_legend().get_texts()]
    assert all("(3 points)" in label for label in labels)
    assert artists(few, "curve")[0][0].get_markevery()[1] == 1
    assert artists(few, "threshold")[0][0].get_ydata()[0] == 0.1
    assert "collapsed below 0.1" in texts(few)


def test_many_rows_have_panels_with_equal_axes():
    norms = ["bn", "ln", "none"]
    runs = [
        run("byol", 0, 0.5, overrides=dict(zip(PARTS, combination, strict=True)))
        for combination in itertools.product(norms, norms, norms)
    ]
    built = with_series(report(*runs, of=load_table("norm")))
    figure = made(over_time, built, metrics=["loss"])
    assert len(figure.axes) == 3
    assert len({panel.get_ylim() for panel in figure.axes}) == 1
    assert max(map(len, artists(figure, "curve"))) <= SERIES


PARTS = ("encoder.norm", "projector.norm", "predictor.norm")


def test_runs_that_differ_in_more_than_the_seed_have_no_common_line():
    built = with_series(
        report(run("byol", 0), run("byol", 1, overrides={"batch_size": 64}), run("no_norm", 0))
    )
    confounded = [line.row.label for line in built.table.lines if line.word == "confounded"]
    written = " ".join(" ".join(texts(made(over_time, built, metrics=["loss"]))).split())
    for label in confounded:
        assert f"No line, since their runs differ in more than the seed: {label}" in written


def test_a_value_that_is_not_finite_ends_a_line():
    curve = curve_of("a", [{0: 1.0, 1: math.inf, 2: math.nan}, {0: 3.0, 1: 5.0, 2: 6.0}])
    assert curve.means == [2.0, 5.0, 6.0] and curve.ends == [(0, 1.0)]
    assert (curve.lows, curve.highs) == ([1.0, 5.0, 6.0], [3.0, 5.0, 6.0])
    assert curve_of("a", [{0: math.nan}]) is None and curve_of("a", []) is None


def test_a_line_of_very_many_points_is_drawn_from_means_over_short_stretches():
    points = {step: float(step % 2) for step in range(10_000)}
    curve = curve_of("a", [points])
    assert len(curve.steps) <= 240 and curve.points == 10_000
    assert all(mean == pytest.approx(0.5, abs=0.02) for mean in curve.means)
    assert curve_label(curve) == "a"


def test_a_row_that_logged_nothing_is_named():
    built = report(run("byol", 0), run("random", 0))
    silent = [line.runs[0].run_id for line in built.table.lines if line.row.key == "random"]
    logged = with_series(built).series

    def series(metric, run_ids):
        return [point for point in logged(metric, run_ids) if point[0] not in silent]

    written = texts(made(over_time, replace(built, series=series), metrics=["loss"]))
    assert "No line, since nothing was logged: Random encoder." in " ".join(written)


def test_curves_of_single_runs_have_a_line_and_a_label_each():
    series = pd.DataFrame({"run_id": ["a", "a", "b"], "step": [0, 1, 0], "value": [1.0, 2.0, 3.0]})
    with drawing(SMALL):
        figure = curves.figure(series, {"a": "A", "b": "B", "c": "C"}, "loss", SMALL)
    written = texts(figure)
    assert {"A (2 points)", "B (1 point)", "loss"} <= {*written}
    assert "No line, since nothing was logged: C." in written
    assert [line.get_ydata()[0] for line in artists(figure, "curve")[0]] == [1.0, 3.0]
    assert artists(figure, "band") == [[]]


def test_excluded_runs_have_no_line():
    built = with_series(report(run("byol", 0), run("byol", 1, excluded="wrong data")))
    (curves,) = artists(made(over_time, built, metrics=["loss"]), "curve")
    assert len(curves) == 1 and artists(made(over_time, built, metrics=["loss"]), "band") == [[]]


def test_a_percentage_that_is_not_zero_is_not_written_as_zero():
    assert [facts.number(value) for value in (0.0, 0.01, 12.34, -0.02)] == [
        "0.0", "0.01", "12.3", "−0.02",
    ]  # fmt: skip
    assert facts.number(1.0, "+") == "+1.0"


def test_a_figure_names_the_rows_with_another_n_than_the_most():
    three = [*seeds_of("byol", [0.5, 0.6, 0.7]), *seeds_of("no_norm", [0.1, 0.2, 0.3])]
    five = seeds_of("random", [0.1, 0.2, 0.3, 0.2, 0.1])
    assert facts.n_of_rows(report(*three, *five)) == "n = 3 seeds (Random encoder: 5)"
    assert facts.n_of_rows(report(*three)) == "n = 3 seeds"


def test_a_finished_table_says_nothing_of_seeds_that_are_to_come():
    runs = seeds_of("byol", [0.5, 0.6])
    assert "so far" not in over_time._footers(report(*runs), [])[0]
    waiting = run("byol", 2, state="RUNNING", outcome=None, evaluations={})
    assert "so far" in over_time._footers(report(*runs, waiting), [])[0]
