import numpy as np
import pytest

from ablation.data.resize import RESIZES, resized
from ablation.validation import RESIZES as ALLOWED

LEFT, MIDDLE, RIGHT = 200, 100, 50


def image(channels):
    """20x60: three squares side by side."""
    row = np.repeat([LEFT, MIDDLE, RIGHT], 20)
    return np.tile(row[:, None], (20, 1, channels)).astype(np.uint8)


def test_what_may_be_asked_for_is_what_there_is():
    assert set(ALLOWED) == set(RESIZES)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("how", RESIZES)
def test_every_way_gives_the_size_in_every_number_of_channels(how, channels):
    found = resized(image(channels), (10, 16), how)
    assert found.shape == (10, 16, channels) and found.dtype == np.uint8
    assert (found == found[..., :1]).all()


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_each_way_shows_what_it_says(channels):
    stretched, cropped, padded = (
        resized(image(channels), (30, 30), how)[..., 0] for how in ("stretch", "crop", "pad")
    )
    assert stretched[15, [2, 15, 27]].tolist() == [LEFT, MIDDLE, RIGHT]
    assert (cropped[:, 5:25] == MIDDLE).all()
    assert (padded[:9] == 0).all() and (padded[-9:] == 0).all()
    assert padded[15, [2, 15, 27]].tolist() == [LEFT, MIDDLE, RIGHT]


@pytest.mark.parametrize("how", RESIZES)
def test_an_image_of_the_right_size_stays_as_it_is(how):
    same = image(3)
    assert resized(same, (20, 60), how) is same
