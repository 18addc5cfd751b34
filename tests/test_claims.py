import pytest

from ablation import claims
from ablation.claims import Claim, Side
from ablation.config import UserError

LEVELS = {
    "arch": ["20", "56"],
    "parts.plain": ["plain", "residual"],
    "parts.se": ["true", "false"],
    "parts.bias": ["true", "false"],
    "recipe.learning_rate": ["0.01", "0.1"],
    "dataset": ["digits"],
    "seed": ["0", "1"],
}


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("residual > plain", (Side(None, "residual"), Side(None, "plain"))),
        (
            "residual >  plain at arch=56 by 2 points",
            (Side(None, "residual"), Side(None, "plain"), (("arch", "56"),), 2.0),
        ),
        (
            "se=true = se=false at arch=20, plain=residual within 0.5",
            (
                Side("se", "true"),
                Side("se", "false"),
                (("arch", "20"), ("plain", "residual")),
                0.0,
                0.5,
            ),
        ),
    ],
)
def test_a_sentence_is_read(text, claim):
    assert claims.parsed(text) == Claim(" ".join(text.split()), *claim)


def test_a_control_stands_behind_its_arm():
    found = claims.parsed("se=true > se=false, capacity at arch=20 by 1 point")
    assert (found.one, found.other) == (Side("se", "true"), Side("se", "false", "capacity"))
    found = claims.parsed("reference = reference,sham within 0.5")
    assert (found.one.name, found.other.name) == ("reference", "reference, sham")
    arms = ["reference", "without se"]
    for text in ("reference > without se, capacity", "residual > plain, capacity"):
        claims.check(claims.parsed(text), LEVELS, list(LEVELS), arms, ["capacity"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("residual is better", "is no claim"),
        ("residual > plain > other", "is no level"),
        ("residual >= plain", "is no claim"),
        ("residual > plain by", "plain by is no level"),
        ("residual > plain by two", "two is no number above 0"),
        ("residual > plain by -1", "-1 is no number above 0"),
        ("residual > plain by nan", "nan is no number above 0"),
        ("residual > plain within 1", "> goes with by"),
        ("residual = plain", "goes with within"),
        ("residual = plain by 1", "= goes with within"),
        ("residual > residual", "with itself"),
        ("se=true > bias=true", "compares se with bias"),
        ("residual > plain at arch", "KEY=LEVEL"),
        ("residual > plain at arch=20, arch=56", "twice"),
        ("> plain", "is no claim"),
    ],
)
def test_what_is_no_claim_is_one_line(text, words):
    with pytest.raises(UserError) as raised:
        found = claims.parsed(text)
        print(found)
    assert words in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "must be a list"),
        (b"residual > plain", "must be a list"),
        (b"- a: b", "claim 1: {'a': 'b'} is no sentence"),
        (b"- residual > plain\n- 3", "claim 2: 3 is no sentence"),
        (b"- residual > plain\n- plain = residual", "claim 2: 'plain = residual'"),
        (b"- residual > plain\n- residual  > plain", "is said twice"),
        (b"- [", "line 1: no YAML"),
        (b"- \xff > plain", "no text in UTF-8"),
    ],
)
def test_a_broken_file_is_one_line(tmp_path, content, words):
    path = tmp_path / "claims.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as raised:
        claims.read(path)
    assert words in str(raised.value) and str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            claims.read(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("residual > plain", ("parts.plain", "residual", "plain")),
        ("56 > 20 at plain=plain", ("arch", "56", "20")),
        ("se=true > false", ("parts.se", "true", "false")),
        ("se=true > parts.se=false", ("parts.se", "true", "false")),
        ("parts.se=true > se=false", ("parts.se", "true", "false")),
        ("0.10 > 1e-2", ("recipe.learning_rate", "0.1", "0.01")),
        ("learning_rate=0.1 > 0.01", ("recipe.learning_rate", "0.1", "0.01")),
    ],
)
def test_the_factor_is_the_one_that_has_both_levels(text, found):
    assert claims.compared(claims.parsed(text), LEVELS) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("true > false", "may be levels of se or bias; write which, such as se=true"),
        ("residul > plain", "no factor has the levels residul and plain. Known: arch: 20, 56"),
        ("residual > 20", "no factor has the levels"),
        ("norm=a > norm=b", "norm is no key"),
        ("seed=0 > seed=1", "seed is no key"),
        ("residual > plain at arch=57", "57 is no level of arch. Known: 20, 56"),
        ("residual > plain at depth=57", "depth is no key"),
        ("residual > plain at plain=plain", "holds it too"),
        (
            "residual = residual, sham within 1",
            "nothing trains residual, sham; add control=capacity,sham",
        ),
        ("20, lesion > 56", "nothing trains 20, lesion; add control=capacity,lesion"),
        ("reference > without so", "Known: arch: 20, 56; plain: plain, residual; se:"),
        ("reference > without so", "arms: reference, without se."),
        ("residual > plain, copy", "behind a comma: sham, capacity, lesion"),
    ],
)
def test_what_a_study_cannot_answer_is_one_line(text, words):
    with pytest.raises(UserError) as raised:
        arms = ["reference", "without se"]
        claims.check(claims.parsed(text), LEVELS, list(LEVELS), arms, ["capacity"])
    assert words in str(raised.value) and "\n" not in str(raised.value)
