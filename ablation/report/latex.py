"""Tables of a report for LaTeX, as papers print them: with booktabs, no wider than the text."""

import re
import unicodedata
from collections.abc import Sequence

from ablation.analysis.tables import NO_NET
from ablation.report.cells import Cells
from ablation.text import readable, spelled_out

_NEEDS = (
    "% Needs \\usepackage{booktabs,graphicx} and, with pdflatex, \\usepackage[T1]{fontenc}.\n"
    "% Goes into a table environment; it is made smaller where it would be wider than the text."
)
_NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
_NOT_PRINTED = ("to settle", "s/epoch")
"""Columns for those who train, not for those who read."""

_TOLD_BY_ROW = ("verdict",)
"""Columns that every row has, though all say the same."""

_N = re.compile(r" \(n=(\d+)\)$")
_NUMBER = re.compile(r"[<+−-]?[\d,]*\.?\d+(e[+-]\d+)?%?( ± [\d.,]+)?( \(n=\d+\))?")
_UNICODE = (
    "% Names with characters that pdflatex does not know: spelled out there, and as they are with\n"
    "% xelatex and lualatex, if the document's font has them.\n"
    r"\providecommand{\ablationname}[2]"
    r"{\ifdefined\XeTeXversion#1\else\ifdefined\directlua#1\else#2\fi\fi}"
)

_NOTHING = (
    "\0"  # In no text that can be read, so it is free to stand for what parts two characters.
)
_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "'": r"\textquotesingle{}",
        "`": r"\textasciigrave{}",
        "−": r"$-$",
        "±": r"$\pm$",
        "²": r"$^2$",
        "∞": r"$\infty$",
        "✓": r"$\surd$",
        "\xa0": "~",
        _NOTHING: "{}",
    }
)
_LIGATURE = re.compile(r"(?<=([-,]))(?=\1)")
"""Two hyphens would be a dash, two commas a quotation mark."""

_MINUS = re.compile(r"(?<![\w.-])-(?=\d)")
"""What stands before a number, and is no hyphen."""

_FOREIGN = re.compile("[^\x00-\x7f\xa0±²∞✓À-ÖØ-öø-ÿĀ-ĥĨ-ķĹ-ňŊ-ťŨ-ž–—‘’“”…−]+")
"""What pdflatex with T1 has no character for, beyond Latin letters and what the report writes."""


def table(cells: Cells) -> str:
    r"""Returns a table and what stands below it, for a `table` environment.

    What all rows have in common, such as the number of seeds, is told once below. The document
    needs \usepackage{booktabs,graphicx}.
    """
    header, rows, notes = _for_print(cells)
    kinds = "".join(_alignment([row[i] for row in rows]) for i in range(len(header)))
    lines = [_NO_WIDER, rf"\begin{{tabular}}{{{kinds}}}", r"\toprule"]
    lines += [_row(header), r"\midrule"]
    lines += [_row(row, place in cells.strong) for place, row in enumerate(rows)]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    if notes:
        told = _escaped("; ".join(notes))
        lines.append(rf"\par\smallskip{{\footnotesize {told}.}}")
    foreign = any(r"\ablationname" in line for line in lines)
    return "\n".join([_NEEDS, *([_UNICODE] if foreign else []), *lines]) + "\n"


def _for_print(cells: Cells) -> tuple[list[str], list[list[str]], list[str]]:
    """Returns the header and rows that a paper prints, and what is told once below them."""
    ns = {found[1] for row in cells.rows for cell in row if (found := _N.search(cell))}
    # A number with a remark beside it, such as "(n=2; 1 failed)", is one that differs.
    alone = len(ns) == 1 and not any(
        "(n=" in _N.sub("", cell) for row in cells.rows for cell in row
    )
    rows = [[_N.sub("", cell) if alone else cell for cell in row] for row in cells.rows]
    notes = [f"n = {ns.pop()} for each score"] if alone else []
    if any(" ± " in cell for row in rows for cell in row):
        notes.append("± is the standard deviation over seeds")
    kept = []
    for place, name in enumerate(cells.header):
        said = {row[place] for row in rows}
        is_common = len(rows) > 1 and len(said) == 1 and name not in _TOLD_BY_ROW
        if name in _NOT_PRINTED:
            continue
        if is_common and place and said != {""}:
            notes.append(
                f"{name} = {said.pop()} in each row" if name == "n" else f"{name}: {said.pop()}"
            )
        elif not is_common or not place:
            kept.append(place)
    return (
        [cells.header[place] for place in kept],
        [[row[place] for place in kept] for row in rows],
        notes,
    )


def _alignment(texts: Sequence[str]) -> str:
    """Returns how a column is set: numbers to the right, so that their digits stand below."""
    filled = [text for text in texts if text not in ("", NO_NET)]
    return "r" if filled and all(map(_NUMBER.fullmatch, filled)) else "l"


def _row(cells: Sequence[str], strong: bool = False) -> str:
    texts = map(_escaped, cells)
    row = " & ".join(rf"\textbf{{{text}}}" if strong and text else text for text in texts)
    # After the end of a row or a rule these two would be an option of it.
    return (f"{{}}{row}" if row.startswith(("[", "*")) else row) + r" \\"


def _escaped(cell: str) -> str:
    text = _MINUS.sub("−", unicodedata.normalize("NFC", readable(cell)))
    parts = re.split(f"({_FOREIGN.pattern})", text)
    return "".join(_foreign(one) if i % 2 else _plain(one) for i, one in enumerate(parts))


def _plain(text: str) -> str:
    return _LIGATURE.sub(_NOTHING, text).translate(_ESCAPES)


def _foreign(text: str) -> str:
    return rf"\ablationname{{{text}}}{{{spelled_out(text).translate(_ESCAPES)}}}"
