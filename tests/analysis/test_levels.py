from ablation.analysis.levels import telling


def test_what_follows_from_others_tells_nothing():
    cells = [("20", "plain", "none"), ("20", "residual", "zero_pad"), ("56", "plain", "none")]
    assert telling(cells) == [0, 1]
    assert telling([*cells, ("20", "residual", "projection")]) == [0, 1, 2]
    assert telling(cells[:1]) == [] == telling([])
