"""LaTeX: every text compiles with pdflatex and booktabs alone, shows as it is, and fits the page."""

import re
import shutil
import subprocess
from dataclasses import replace

import planted
import pytest
from typer.testing import CliRunner

from analysis.formats import Layout, render
from analysis.papers.printed import Published
from analysis.papers.rows import load_table
from analysis.render.grid import Style
from analysis.render.latex import as_latex, as_latex_matrix
from analysis.render.latex_text import breakable, escaped, prose
from orchestrator.cli.main import app

HOSTILE = [
    r"\input{/etc/passwd} \end{tabular}",
    "a & b \\\\ c # d ^ e _ f ~ g % h $ i { j } k",
    "[x] *y* <z> |w| \"q\" `r` 's' ?` !` --retry --- ,,",
    "λ τ · √d ≈ − – — ± × ≤ ≥ ≠ → µ μ ∞ ° ² ½ Ω Δ",
    "naïve Łódź Žižek Ø ç ﬁ ™ 表格 🙂 е\u0301",
    "encoder.norm=ln,predictor.norm=bn,optimizer.lr=0.0188,target.tau_base=0.996",
    "x" * 90,
    "%",
]
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
BODY
\end{document}
"""


def mlp_norm(**kwargs):
    return planted.report(
        *planted.seeds_of("byol", [0.577, 0.581, 0.579]),
        *planted.seeds_of("proj_only", [0.55, 0.56, 0.54]),
        *planted.seeds_of("no_norm", [0.30, 0.28, 0.52], spread=0.02),
        *planted.seeds_of("layer_norm", [0.4, 0.41]),
        *planted.seeds_of("contrastive", [0.61, 0.62, 0.60]),
        **kwargs,
    )


def hostile_rows():
    """The table mlp_norm with labels that TeX would take for commands."""
    rows = dict(planted.MLP_NORM.rows)
    for key, label in zip(rows, HOSTILE, strict=False):
        rows[key] = replace(rows[key], label=label)
    return replace(planted.MLP_NORM, rows=rows, title=" ".join(HOSTILE[:3]))


def norm():
    return planted.report(
        *planted.seeds_of("byol", [0.5, 0.6, 0.7]),
        *planted.seeds_of("no_norm", [0.2, 0.1], spread=0.02),
        of=load_table("norm"),
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a_b & 5%", r"a\_b \& 5\%"),
        ("\\", r"\textbackslash{}"),
        ("--retry", "-{}-retry"),
        ("[0.1, 0.2]", "{[}0.1, 0.2]"),
        ("std·√d λ", r"std$\cdot$$\surd$d $\lambda$"),
        ("é", r"\'{e}"),
        ("e\u0301", r"\'{e}"),
        ("表", r"\texttt{U+8868}"),
        ("<b>|", "$<$b$>$$|$"),
    ],
)
def test_what_tex_takes_for_a_command_is_escaped(text, written):
    assert escaped(text) == written


def test_all_that_is_escaped_is_ascii():
    assert all(escaped(text).isascii() for text in HOSTILE)


def test_long_words_may_be_broken_and_commands_have_their_own_font():
    assert r"ln,\allowbreak{}predictor" in breakable(HOSTILE[5])
    assert breakable("x" * 90).count(r"\allowbreak{}") == 5
    assert prose("type `sweep show a_b` now") == r"type \texttt{sweep show a\_b} now"
    assert prose("one ` alone") == r"one \`{} alone"


def test_headings_span_their_group_and_marks_have_notes():
    text = as_latex(mlp_norm())
    assert r"\multicolumn{3}{c}{ours}" in text and r"\cmidrule(lr){3-5}" in text
    assert r"No normalization & 28.3 & 36.7 $\pm$33.1 & 3" in text
    assert r"done 3/3\textsuperscript{c}" in text
    assert (
        r"\textsuperscript{c} collapsed: runs whose projections shrank to almost one point; they count in n."
        in text
    )
    assert r"\label{tab:mlp-norm}" in text and r"\caption{Norm in projector and predictor." in text


def test_advice_which_command_to_type_is_for_the_author_alone():
    for_readers, for_author = as_latex(mlp_norm(unlisted=["wide_row"])).split(r"\end{table}")
    assert "sweep" not in "\n".join(
        line for line in for_readers.splitlines() if not line.startswith("%")
    )
    assert "rows of none of its tables: wide_row" in for_author
    assert all(line.startswith("%") for line in for_author.split("\n")[1:])


def test_the_first_lines_name_table_setting_and_the_day_of_the_data():
    report = mlp_norm()
    text = as_latex(report)
    setting = report.table.setting.id
    assert f"% table mlp_norm, setting {setting}, norm_ablation@quick, launched 1970-01-01" in text
    assert text == as_latex(mlp_norm())


def test_columns_leave_a_page_and_wide_keeps_them():
    narrow, wide = as_latex(mlp_norm()), as_latex(mlp_norm(), wide=True)
    assert "% left out at this width:" in narrow and "published cos" not in narrow.split("%")[-1]
    assert "left out" not in wide and "& published cos &" in wide
    assert "mean & n & vs" in narrow  # n stands beside every mean
    per_seed = as_latex(mlp_norm(), Style(per_seed=True), wide=True)
    assert "0:57.7 1:58.1 2:57.9" in per_seed


def test_what_no_paper_printed_has_neither_column_nor_source():
    unprinted = {
        key: replace(row, published=Published()) for key, row in planted.MLP_NORM.rows.items()
    }
    text = as_latex(mlp_norm(of=replace(planted.MLP_NORM, rows=unprinted, printed=None)))
    assert "published &" not in text and "Published:" not in text


def test_long_headings_are_broken_and_what_is_too_wide_is_said():
    text = as_latex(planted.report(of=load_table("semi_supervised")))
    assert r"\shortstack[r]{\strut top-1" in text and "wider than the page" not in text
    assert "% wider than the page" in as_latex(
        planted.report(of=load_table("places365")), wide=True
    )


def test_the_matrix_has_the_papers_spans():
    text = as_latex_matrix(norm())
    assert r"encoder & \multicolumn{4}{c}{BN} & \multicolumn{4}{c}{LN} & \multicolumn{7}{c}" in text
    assert r"\cmidrule(lr){2-5} \cmidrule(lr){6-9} \cmidrule(lr){10-16}" in text
    assert "published & 73.2 & 73.2 & 72.0 & 72.1 & 0.1 & 5.4" in text
    assert "ours & 60.0 &" in text


def test_a_table_without_runs_is_one_too():
    text = as_latex(planted.report())
    assert "% table mlp_norm, no runs yet" in text and "absent" in text


def test_the_command_writes_it(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = ["--root", str(root.path), "report", "--table"]
    done = CliRunner().invoke(app, [*places, "norm", "--layout", "matrix", "--out", "norm.tex"])
    assert done.exit_code == 0, done.exception
    assert r"\begin{table}" in (tmp_path / "norm.tex").read_text()
    done = CliRunner().invoke(app, [*places, "mlp_norm", "--format", "latex"])
    assert r"\bottomrule" in done.output
    done = CliRunner().invoke(app, [*places, "norm", "--layout", "matrix", "--format", "csv"])
    assert "--layout matrix is for text and latex" in str(done.exception)


@pytest.mark.slow
def test_pdflatex_makes_pages_of_it_without_a_complaint(tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not here (Debian: texlive-latex-base, texlive-latex-recommended)")
    tables = [
        as_latex(mlp_norm(unlisted=HOSTILE)),
        as_latex(mlp_norm(of=hostile_rows()), Style(digits=2)),
        as_latex(norm()),
        as_latex_matrix(norm()),
        as_latex(planted.report()),
        *[
            render(planted.report(of=load_table(name)), "latex", Layout()).decode()
            for name in (
                "tau",
                "lambda",
                "init",
                "simsiam_bn",
                "semi_supervised",
                "linear_eval_resnet50",
            )
        ],
    ]
    texts = [rf"\par {breakable(text)} \par {prose(text)}" for text in HOSTILE]
    body = "\n\\clearpage\n".join([*tables, r"\raggedright" + "\n".join(texts)])
    (tmp_path / "tables.tex").write_text(DOCUMENT.replace("BODY", body))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True)

    log = (tmp_path / "tables.log").read_text(errors="replace")
    complaints = re.findall(
        r"^(?:!|Overfull|Missing character|LaTeX (?:Font )?Warning: (?!Label)).*", log, re.M
    )
    assert done.returncode == 0 and not complaints, complaints
