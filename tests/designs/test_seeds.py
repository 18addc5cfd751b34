import pytest

from ablation.config import UserError
from ablation.designs import seeds


@pytest.mark.parametrize(("value", "count"), [("until(20)", 20), (" until ( 6 ) ", 6)])
def test_the_most_seeds_are_read(value, count):
    assert seeds.until(value) == count


@pytest.mark.parametrize("value", ["0", "0,1,2", "range(3)", "choice(1,2)"])
def test_other_values_are_left_alone(value):
    assert seeds.until(value) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("until", "seed=until(20)"),
        ("until()", "seed=until(20)"),
        ("until(-3)", "seed=until(20)"),
        ("until(2.5)", "seed=until(20)"),
        ("0,until(9)", "nothing beside it"),
        ("until(5)", "fewer than 6 seeds"),
        ("until(1001)", "at most 1000 seeds can be trained so; name 6 to 1000"),
    ],
)
def test_what_cannot_be_meant_is_one_line(value, words):
    with pytest.raises(UserError, match="seed=") as raised:
        seeds.until(value)
    assert words in str(raised.value) and "\n" not in str(raised.value)
