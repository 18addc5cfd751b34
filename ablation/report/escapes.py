"""What text needs so that GitHub's markdown shows it as it is."""

import re

from ablation.text import readable

# Only where something would be interpreted, because people read the source too: an underscore
# inside a word, a bracket without a link or a lone `<` stays.
_INLINE = re.compile(
    r"""
    \\(?=[!-/:-@\[-`{-~]|$)         # an escape, a hard line break
  | [`$]                            # code, a formula
  | (?<!\s)[*~] | [*~](?!\s|$)      # emphasis, strikethrough
  | (?<!\w)_+ | _+(?!\w)            # emphasis, but not inside a word
  | <(?=[A-Za-z/!?])                # a tag, an address
  | &(?=\#?\w+;)                    # an entity
  | \](?=[(\[]) | \[(?=\^)          # a link, a footnote
  | (?<!\S)\#+(?!\S)                # a heading, or the end of one
    """,
    re.VERBOSE,
)
_BLOCK = re.compile(r"(?P<list>\d{1,9})(?=[.)](?:\s|$))|[-+](?=[\s+-]|$)|[>\[=]")
"""What begins a quote, a list, a task or a rule where it begins a line."""


def inline(text: str) -> str:
    """Returns text for the middle of a line: a cell of a table, a heading, a part of a sentence."""
    return _INLINE.sub(_escaped, readable(text))


def line(text: str) -> str:
    """Returns text for a line, or a list's item, of its own."""
    escaped = inline(text)
    begun = _BLOCK.match(escaped)
    if not begun:
        return escaped
    at = begun.end() if begun["list"] else 0
    return f"{escaped[:at]}\\{escaped[at:]}"


def code(text: str) -> str:
    """Returns text as code, in a fence longer than any that it holds."""
    if "|" in text:
        return inline(text)  # A bar in a table's code can have no backslash before it.
    text = readable(text)
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def cell(escaped: str) -> str:
    """Returns escaped text for a cell of a table, where a bar would begin the next one."""
    return escaped.replace("|", "\\|")


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"\\{character}" for character in found[0])
