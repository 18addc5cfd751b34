import shutil
import subprocess

import pytest

from ablation.analysis import reading
from ablation.report import cells, latex
from ablation.report.write import write_report
from nasty import NAMES

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\usepackage[T1]{fontenc}
\begin{document}
%s
\end{document}
"""


def test_special_characters_are_escaped():
    text = latex.tabular(cells.Cells(["a_b", "50%"], [["x & y", "± 1 − 2 {#$^~\\}"]]))
    assert r"a\_b & 50\% \\" in text
    assert r"x \& y" in text and r"$\pm$ 1 $-$ 2" in text
    assert r"\begin{tabular}{ll}" in text and r"\bottomrule" in text


def test_the_numbers_are_those_of_the_markdown(stored_run, tmp_path):
    stored_run("plain=true", val_accuracy=0.25)
    stored_run("plain=false", val_accuracy=0.75)
    (comparison,) = reading.load(tmp_path / "main").comparisons()
    text = latex.tabular(cells.accuracy_cells(comparison))
    assert "34 & 25.00 (n=1) & 75.00 (n=1) & +50.00 (n=1)" in text


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
    rows = [[name, f"arch {name}", name] for name in [*names, *letters.split()]]
    _compile(latex.tabular(cells.Cells([NAMES["bracket"], "*", "x"], rows)), tmp_path)


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
    text = latex.tabular(cells.Cells(["a", "b"], [[name, "x"]]))
    assert written in text.splitlines()
    assert (r"\providecommand{\ablationname}" in text) == (name == "猫")
