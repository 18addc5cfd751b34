"""What the pages for people promise about files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
OTHERS = ["README.md", "runs/README.md", "benchmarks/README.md", "docs/results/README.md"]
PAGES = [*(ROOT / name for name in OTHERS), *DOCS]
STUDIES = sorted(path for path in (ROOT / "docs" / "results").iterdir() if path.is_dir())


def links(page: Path) -> list[tuple[str, str]]:
    """Every link of a page to a file, and the heading in it, "" for none."""
    found = re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text())
    return [(file, heading) for file, heading in found if ":" not in file]


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading_in_it(page):
    for file, heading in links(page):
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), file
        assert not heading or heading in headings(target), f"{file}#{heading}"


def test_the_readme_leads_to_every_page():
    named = {(ROOT / file).resolve() for file, _ in links(ROOT / "README.md")}
    assert set(DOCS) <= named


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_a_kept_study_has_its_numbers_and_a_section(study):
    assert list(study.rglob("ablation-*.csv"))
    assert list(study.rglob("history.csv"))
    assert f"\n## {study.name}\n" in (ROOT / "docs" / "results" / "README.md").read_text()
