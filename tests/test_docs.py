"""What the pages for people promise about files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "README.md",
    "docs/claims.md",
    "docs/controls.md",
    "docs/datasets.md",
    "docs/designs.md",
    "docs/durability.md",
    "docs/export.md",
    "docs/metrics.md",
    "docs/networks.md",
    "docs/recipes.md",
    "docs/report.md",
    "docs/tuning.md",
    "docs/verdicts.md",
    "runs/README.md",
    "benchmarks/README.md",
    "docs/results/README.md",
]
STUDIES = sorted(path for path in (ROOT / "docs" / "results").iterdir() if path.is_dir())


@pytest.mark.parametrize("page", PAGES)
def test_every_link_to_a_file_leads_somewhere(page):
    file = ROOT / page
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text())
    missing = [link for link in links if "://" not in link and not (file.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)
def test_a_kept_study_has_its_numbers_and_a_section(study):
    assert list(study.rglob("ablation-*.csv"))
    assert list(study.rglob("history.csv"))
    assert f"\n## {study.name}\n" in (ROOT / "docs" / "results" / "README.md").read_text()
