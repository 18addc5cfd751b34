"""`python -m ablation guide`: one page, and every command in it exists."""

import re
from pathlib import Path

import pytest

import ablation
from ablation.command import arranged
from ablation.command.parser import guide
from ablation.config import UserError

FOLDER = Path(ablation.__file__).parent


def test_the_command_prints_it(cli, tmp_path):
    done = cli("guide", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == guide()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["extra", "--help", "arch=34"])
def test_it_takes_nothing_else(word):
    with pytest.raises(UserError, match=r"guide takes nothing else: python -m ablation guide\."):
        arranged(["guide", word])


def test_every_command_in_it_is_there():
    modules = set(re.findall(r"python -m ablation\.?(\w*)", guide()))
    assert {"report", "describe", "watch"} <= modules
    for name in filter(None, modules):
        assert (FOLDER / f"{name}.py").exists() or (FOLDER / name / "__main__.py").exists(), name


def test_it_is_one_page():
    lines = guide().splitlines()
    assert len(lines) < 70 and max(map(len, lines)) <= 100
