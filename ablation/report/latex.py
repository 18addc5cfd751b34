"""Tables of a report for LaTeX, with the booktabs package."""

from ablation.report.cells import Cells

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
        "−": r"$-$",
        "±": r"$\pm$",
    }
)


def tabular(cells: Cells) -> str:
    r"""Returns a `tabular` environment; the document needs \usepackage{booktabs}."""
    lines = [rf"\begin{{tabular}}{{{'l' * len(cells.header)}}}", r"\toprule"]
    lines += [_row(cells.header), r"\midrule"]
    lines += [_row(row) for row in cells.rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _row(cells) -> str:
    return " & ".join(cell.translate(_ESCAPES) for cell in cells) + r" \\"
