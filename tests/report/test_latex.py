import shutil
import subprocess

import pytest

from ablation import study
from ablation.report import cells, latex

DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
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
    (comparison,) = study.load(tmp_path / "main").comparisons()
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
    from ablation.report.write import write_report

    write_report(tmp_path / "main")
    tables = sorted((tmp_path / "main" / "report").glob("*.tex"))
    assert len(tables) == 3
    body = "\n\n".join(path.read_text() for path in tables)
    (tmp_path / "all.tex").write_text(DOCUMENT % body)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-2000:]
