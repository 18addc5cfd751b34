"""`python -m ablation guide`: one page, and every command in it exists."""

import re
from pathlib import Path

import ablation
from ablation.command import guide

FOLDER = Path(ablation.__file__).parent


def test_the_command_prints_it(cli, tmp_path):
    done = cli("guide", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == guide()
    assert not list(tmp_path.iterdir())


def test_every_command_in_it_is_there():
    modules = set(re.findall(r"python -m ablation\.?(\w*)", guide()))
    assert {"report", "describe", "watch"} <= modules
    for name in filter(None, modules):
        assert (FOLDER / f"{name}.py").exists() or (FOLDER / name / "__main__.py").exists(), name


def test_it_is_one_page():
    lines = guide().splitlines()
    assert len(lines) < 70 and max(map(len, lines)) <= 100
