import shutil
import subprocess

import pytest

from ablation.analysis import reading
from ablation.report import cells, latex
from ablation.report.write import write_report
from nasty import NAMES

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs,graphicx}
\usepackage[T1]{fontenc}
\setlength{\parindent}{0pt}
\begin{document}
%s
\end{document}
"""


def test_special_characters_are_escaped():
    text = latex.table(cells.Cells(["a_b", "50%"], [["x & y", "± 1 − 2 {#$^~\\}"]]))
    assert r"a\_b & 50\% \\" in text
    assert r"x \& y" in text and r"$\pm$ 1 $-$ 2" in text
    assert r"\begin{tabular}{ll}" in text and r"\bottomrule" in text


def test_the_numbers_are_those_of_the_markdown(stored_run, tmp_path):
    stored_run("plain=true", val_accuracy=0.25)
    stored_run("plain=false", val_accuracy=0.75)
    (comparison,) = reading.load(tmp_path / "main").comparisons()
    text = latex.table(cells.accuracy_cells(comparison))
    assert "34 & 25.00 & 75.00 & +50.00" in text
    assert text.endswith(r"\par\smallskip{\footnotesize n = 1 for each score.}" + "\n")


def _lines(header, rows, strong=()):
    """Returns how the columns are set, the lines between the rules, and what stands below."""
    text = latex.table(cells.Cells(header, rows, frozenset(strong)))
    columns = text.partition(r"\begin{tabular}{")[2].partition("}")[0]
    inside = text.partition("\\toprule\n")[2].partition("\\bottomrule")[0].splitlines()
    below = text.partition("\\end{tabular}}\n")[2].strip()
    return columns, [line for line in inside if line != r"\midrule"], below


def test_a_number_of_seeds_that_all_share_is_told_once():
    rows = [["plain", "62.63 ± 0.67 (n=7)", "-1.04 (n=7)"], ["residual", "71 ± 1 (n=7)", ""]]
    columns, lines, below = _lines(["net", "20", "56 − 20"], rows)
    assert columns == "lrr"
    assert lines[1] == r"plain & 62.63 $\pm$ 0.67 & $-$1.04 \\"
    note = r"n = 7 for each score; $\pm$ is the standard deviation over seeds."
    assert below == rf"\par\smallskip{{\footnotesize {note}}}"


@pytest.mark.parametrize("other", ["70.00 ± 1.00 (n=6)", "70.00 ± 1.00 (n=7; 1 failed)"])
def test_where_seeds_differ_they_stand_in_every_cell(other):
    _, lines, below = _lines(["net", "20"], [["a", "62.63 ± 0.67 (n=7)"], ["b", other]])
    assert "(n=7)" in lines[1] and other[-4:] in lines[2]
    assert "n =" not in below


def test_what_is_the_same_in_every_row_is_told_once_but_verdicts():
    header = ["question", "n", "verdict", "sign-flip test", "to settle"]
    rows = [[name, "3", "open", "cannot speak below n = 8", "9 seeds (+1:00)"] for name in "ab"]
    _, lines, below = _lines(header, rows)
    assert lines == [r"question & verdict \\", r"a & open \\", r"b & open \\"]
    assert "n = 3 in each row; sign-flip test: cannot speak below n = 8." in below


def test_of_one_row_nothing_is_taken_away():
    columns, lines, below = _lines(["arch", "n", "mean"], [["34", "3", "+1.0"]])
    assert lines == [r"arch & n & mean \\", r"34 & 3 & +1.0 \\"]
    assert (columns, below) == ("rrr", "")


def _has_booktabs():
    if not shutil.which("pdflatex"):
        return False
    return subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True).returncode == 0


@pytest.mark.skipif(not _has_booktabs(), reason="pdflatex with booktabs is not installed")
def test_every_table_compiles(stored_run, tmp_path):
    for seed in (0, 1, 2):
        stored_run("plain=true", f"seed={seed}", val_accuracy=0.2 + 0.01 * seed)
        stored_run("plain=false", f"seed={seed}", val_accuracy=0.8)
    write_report(tmp_path / "main")
    tables = sorted((tmp_path / "main" / "report").glob("*.tex"))
    assert len(tables) == 3
    body = "\n\n".join(path.read_text() for path in tables)
    _compile(body, tmp_path)


@pytest.mark.skipif(not _has_booktabs(), reason="pdflatex with booktabs is not installed")
@pytest.mark.parametrize("design", ["leave_one_out", "add_one", "both", "cumulative", "grid"])
def test_every_layout_compiles(stored_design, tmp_path, design):
    study = stored_design(
        design,
        {"parts.se": [True, False], "parts.norm": ["batch", "group"]},
        lambda levels, seed: 0.8 + 0.05 * levels["parts.se"] + 0.001 * seed**2,
        "arch=20",
        seeds=range(3),
        rejected=("parts.norm",) if design == "cumulative" else (),
    )
    write_report(study)
    tables = sorted((study / "report").glob("*.tex"))
    body = "\n\n".join(path.read_text() for path in tables)
    assert r"$\surd$" in body or design == "grid"
    _compile(body, tmp_path)


@pytest.mark.skipif(not _has_booktabs(), reason="pdflatex with booktabs is not installed")
def test_every_name_compiles(tmp_path):
    names = list(NAMES.values())
    letters = "ÀÉÑÖØåæçðøþÿ ĀăĄćĈĉČđĒęĞğĥĨıĵķĹľŁłńňŌőŒœřśŠşŢťŨůűŵŸźžŊŋ – — ‘x’ “x” … ± −"
    names = [*names, *letters.split()]
    header = [NAMES["bracket"], "*"]
    at_the_start = latex.table(cells.Cells(header, [[name, "x"] for name in names]))
    within = latex.table(cells.Cells(header, [["x", f"arch {name}"] for name in names]))
    _compile(f"{at_the_start}\n\n{within}", tmp_path)


@pytest.mark.skipif(not _has_booktabs(), reason="pdflatex with booktabs is not installed")
def test_a_table_of_many_arms_is_no_wider_than_the_text(tmp_path):
    header = ["net", *(f"recipe.learning_rate {i}" for i in range(13))]
    _compile(latex.table(cells.Cells(header, [["plain", *["62.63 ± 0.67 (n=7)"] * 13]])), tmp_path)


def _compile(body, folder):
    (folder / "all.tex").write_text(DOCUMENT % body)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout  # No table is wider than the text.


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("[0.5]", r"{}[0.5] & x \\"),
        ("*", r"{}* & x \\"),
        ("a<b>|", r"a\textless{}b\textgreater{}\textbar{} & x \\"),
        ("a--b,,c", r"a-{}-b,{},c & x \\"),
        ("a\nb ", r"a\textbackslash{}nb\textbackslash{}x20 & x \\"),
        ("猫", r"\ablationname{猫}{\textbackslash{}u732b} & x \\"),
        ("cafe\u0301", r"café & x \\"),
        ("R² < +∞", r"R$^2$ \textless{} +$\infty$ & x \\"),
    ],
)
def test_a_name_is_what_latex_prints(name, written):
    text = latex.table(cells.Cells(["a", "b"], [[name, "x"]]))
    assert written in text.splitlines()
    assert (r"\providecommand{\ablationname}" in text) == (name == "猫")
