"""Tables of a report for LaTeX, with the booktabs package."""

import re
import unicodedata
from collections.abc import Sequence

from ablation.report.cells import Cells
from ablation.text import readable, spelled_out

_NEEDS = r"% Needs \usepackage{booktabs} and, with pdflatex, \usepackage[T1]{fontenc}."
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


def tabular(cells: Cells) -> str:
    r"""Returns a `tabular` environment; the document needs \usepackage{booktabs}."""
    lines = [rf"\begin{{tabular}}{{{'l' * len(cells.header)}}}", r"\toprule"]
    lines += [_row(cells.header), r"\midrule"]
    lines += [_row(row, place in cells.strong) for place, row in enumerate(cells.rows)]
    lines += [r"\bottomrule", r"\end{tabular}"]
    foreign = any(r"\ablationname" in line for line in lines)
    return "\n".join([_NEEDS, *([_UNICODE] if foreign else []), *lines]) + "\n"


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
