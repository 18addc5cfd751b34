import subprocess
import sys
from pathlib import Path

import pytest

import ablation.networks
from ablation.config import UserError
from ablation.networks.registry import find

# He15 Table 1, and §4.2 with n = (depth - 2) / 6.
BLOCKS = {
    "18": (2, 2, 2, 2),
    "34": (3, 4, 6, 3),
    "50": (3, 4, 6, 3),
    "101": (3, 4, 23, 3),
    "152": (3, 8, 36, 3),
    "8": (1, 1, 1),
    "14": (2, 2, 2),
    "20": (3, 3, 3),
    "32": (5, 5, 5),
    "44": (7, 7, 7),
    "56": (9, 9, 9),
    "110": (18, 18, 18),
    "1202": (200, 200, 200),
}


@pytest.mark.parametrize("arch", BLOCKS)
def test_blocks_per_stage_are_the_papers(arch):
    assert tuple(find(arch).bound["blocks"]) == BLOCKS[arch]


@pytest.mark.parametrize("arch", BLOCKS)
def test_depth_is_the_number_of_weighted_layers(arch):
    bound = find(arch).bound
    per_block = {"basic": 2, "bottleneck": 3}[bound["block"]]
    assert int(arch) == 1 + per_block * sum(bound["blocks"]) + 1


def test_what_auto_stands_for_is_asked_where_nobody_has_said_it(tmp_path):
    (tmp_path / "net.py").write_text(
        "from typing import Literal\n"
        "PARTS = {'ratio': {'usual': ('width', {16: 4, 32: 8})}}\n"
        "def build(shape, classes, *, width: int = 16, ratio: Literal['auto', 4, 8] = 'auto'):\n"
        "    pass\n"
    )
    network = find(f"{tmp_path}/net.py:build")
    assert network.settled({"width": 32})["ratio"] == 8
    assert network.settled({"width": 48, "ratio": 4})["ratio"] == 4
    with pytest.raises(UserError, match=r"parts\.width=48 does not say what parts\.ratio=auto"):
        network.settled({"width": 48})


@pytest.mark.parametrize("module", ["ablation.networks.registry", "ablation.config"])
def test_importing_it_loads_neither_tensorflow_nor_keras(module):
    script = (
        f"import sys, {module}; print({{'tensorflow', 'keras'}} & sys.modules.keys() or 'none')"
    )
    root = Path(ablation.networks.__file__).parents[2]
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert child.stdout.strip() == "none"


CHAIN = """
def build(shape, classes, *, deep: bool = True, se: bool = True, ratio: int = 4, odd: bool = True):
    ...

PARTS = {
    "ratio": {"applies": {"se": [True]}},
    "odd": {"applies": {"ratio": [4]}},
    "se": {"applies": {"deep": [True]}},
}
"""


def test_a_part_of_a_part_that_changes_nothing_changes_nothing(tmp_path):
    (tmp_path / "chain.py").write_text(CHAIN)
    network = find(f"{tmp_path / 'chain.py'}:build")
    everything = {"deep": True, "se": True, "ratio": 4, "odd": True}
    assert network.settled({}) == everything
    assert network.settled({"ratio": 8}) == {"deep": True, "se": True, "ratio": 8}
    assert network.settled({"se": False, "ratio": 8}) == {"deep": True, "se": False}
    for ratio in (4, 8):
        assert network.settled({"deep": False, "ratio": ratio}) == {"deep": False}
