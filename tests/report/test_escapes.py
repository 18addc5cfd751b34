import html
import re

import pytest
from markdown_it import MarkdownIt

from ablation.report.cells import Cells
from ablation.report.escapes import code, inline, line
from ablation.report.markdown import table
from ablation.text import readable
from nasty import NAMES

_RENDER = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render


def _parts(markdown, tag):
    """Returns what stands in each such tag, where nothing inside was interpreted."""
    found = re.findall(f"<{tag}>(.*?)</{tag}>", _RENDER(markdown), re.DOTALL)
    assert not [part for part in found if "<" in part]
    return [html.unescape(part) for part in found]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_markdown_shows_every_name_as_it_is(name):
    shown = readable(name)
    assert _parts(f"## {inline(name)}", "h2") == [shown]
    assert _parts(f"## {inline(f'x, dataset.path={name}')}", "h2") == [
        readable(f"x, dataset.path={name}")
    ]
    assert _parts(f"- {line(name)}\n- {line(f'at {name} and {name}')}", "li") == [
        shown,
        readable(f"at {name} and {name}"),
    ]
    assert _parts(line(name), "p") == [shown]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_table_of_markdown_shows_every_name_in_its_cell(name):
    text = table(Cells(["a", name], [[name, name], ["1", name]]))
    assert _parts(text, "th") == ["a", readable(name)]
    assert _parts(text, "td") == [readable(name), readable(name), "1", readable(name)]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_code_shows_every_name_as_it_is(name):
    shown = readable(name)
    if "|" not in name:
        assert _parts(f"In {code(name)}.", "code") == [shown]
    text = table(Cells(["run"], [[name]]), as_code=["run"])
    rendered = re.sub("</?code>", "", _RENDER(text))
    assert html.unescape(re.findall("<td>(.*?)</td>", rendered)[0]) == shown


@pytest.mark.parametrize(
    "text",
    [
        "recipe.warmup_learning_rate 0.001, he2015_cifar",
        "[0.5, 0.75]",
        "+58.33 (n=1)",
        "-16.60",
        "<0.001",
        "p < 0.001; 95% interval +1 to +2.",
        "residual − plain (lr=0.1, momentum=0.9)",
        "train[:80%]",
        "50.00 ± 1.00 (n=2; 1 failed)",
    ],
)
def test_what_is_not_interpreted_is_not_escaped(text):
    assert inline(text) == text


def test_what_this_parser_does_not_know_but_github_does_is_escaped():
    assert line("[x] cat") == "\\[x] cat"
    assert inline("$a$ and [^1]") == "\\$a\\$ and \\[^1]"


def test_a_table_is_aligned_where_letters_are_wide():
    lines = table(Cells(["a", "b"], [["猫と犬", "1"], ["cats", "2"]])).splitlines()
    assert lines == ["| a      | b |", "|--------|---|", "| 猫と犬 | 1 |", "| cats   | 2 |"]
