"""Tricks on images and labels: their papers' formulas, and draws that shift no others."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from ablation.config import RecipeConfig, UserError
from ablation.data import augment, trivial
from ablation.data.augment import Draws, OwnAugmentation, Tricks
from ablation.data.kinds import Affine

SIZE, CLASSES, COUNT = 16, 5, 24
TRICKS = {
    "trivial_augment": True,
    "random_erasing": 0.5,
    "mixup": 1.0,
    "cutmix": 1.0,
    "label_smoothing": 0.1,
    "class_weights": True,
}


@pytest.fixture
def images():
    return np.random.default_rng(1).random((COUNT, SIZE, SIZE, 3), np.float32)


@pytest.fixture
def labels():
    return np.arange(COUNT) % CLASSES


def one_hot(labels):
    return np.eye(CLASSES, dtype=np.float32)[labels]


class Given:
    """Draws that a test chooses."""

    def __init__(self, share, middle=(), partners=None):
        self._share, self._middle, self._partners = share, iter(middle), partners

    def beta(self, one, other):
        assert one == other
        return self._share

    def integers(self, high):
        return next(self._middle)

    def permutation(self, count):
        return np.arange(count)[::-1] if self._partners is None else self._partners


# Mixing


def test_mixup_is_equation_2_of_its_paper(images, labels):
    mixed, shared = augment.mixed_up(images, one_hot(labels), 0.2, Given(0.3))
    np.testing.assert_allclose(mixed[0], 0.3 * images[0] + 0.7 * images[-1], rtol=1e-5)
    expected = np.zeros(CLASSES)
    expected[labels[0]] += 0.3
    expected[labels[-1]] += 0.7
    np.testing.assert_allclose(shared[0], expected, rtol=1e-6)


def test_the_share_of_mixup_is_symmetric_and_of_its_beta_distribution(images, labels):
    """Beta(a, a) has the mean 1/2 and the variance 1 / (4 (2 a + 1))."""
    alpha, hot = 0.5, one_hot(labels)[:2]
    shares = [
        augment.mixed_up(images[:2], hot, alpha, Draws(0, epoch, 0).of(augment.MIXUP))[1][0, 0]
        for epoch in range(4000)
    ]
    shares = np.array([share for share in shares if share != 1])  # Else the partner is itself.
    sd = np.sqrt(1 / (4 * (2 * alpha + 1)))
    assert abs(shares.mean() - 0.5) < 4 * sd / np.sqrt(len(shares))
    assert shares.std() == pytest.approx(sd, rel=0.05)


@pytest.mark.parametrize("mix", [augment.mixed_up, augment.cut_and_mixed])
def test_mixed_labels_sum_to_one_and_keep_the_images_as_a_whole(mix, images, labels):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        mixed, shared = mix(images.copy(), one_hot(labels), 1.0, rng)
        np.testing.assert_allclose(shared.sum(axis=1), 1, rtol=1e-5)
        # A permutation takes as much of every image as it gives.
        np.testing.assert_allclose(mixed.sum(axis=0), images.sum(axis=0), rtol=1e-4)
        np.testing.assert_allclose(shared.sum(axis=0), one_hot(labels).sum(axis=0), rtol=1e-4)
        assert mixed.dtype == shared.dtype == np.float32


@pytest.mark.parametrize(
    ("share", "middle", "rows", "columns"),
    [
        (0.75, (8, 8), (4, 12), (4, 12)),  # Half of each side, a quarter of the area.
        (0.75, (0, 16), (0, 4), (12, 16)),  # What lies outside is cut off.
        (1.0, (8, 8), (8, 8), (8, 8)),
        (0.0, (8, 8), (0, 16), (0, 16)),
    ],
)
def test_cutmix_pastes_the_rectangle_of_its_algorithm(share, middle, rows, columns, images, labels):
    before, hot = images.copy(), one_hot(labels)
    mixed, shared = augment.cut_and_mixed(images, hot, 1.0, Given(share, middle))
    inside = np.zeros((SIZE, SIZE), bool)
    inside[slice(*rows), slice(*columns)] = True
    assert np.array_equal(mixed[0][inside], before[-1][inside])
    assert np.array_equal(mixed[0][~inside], before[0][~inside])
    kept = float(1 - Fraction(int(inside.sum()), SIZE * SIZE))
    np.testing.assert_allclose(shared, kept * hot + (1 - kept) * hot[::-1], atol=1e-6)


def test_of_mixup_and_cutmix_each_batch_gets_one_as_it_would_alone(images, labels):
    def batch(number, **keys):
        given = (images.copy(), labels, Draws(3, 0, number), np.ones(CLASSES, np.float32))
        return Tricks(**keys).on_batch(*given)[0]

    taken = []
    for number in range(40):
        both = batch(number, mixup=1.0, cutmix=1.0)
        alike = [np.array_equal(both, batch(number, **{key: 1.0})) for key in ("mixup", "cutmix")]
        assert sum(alike) == 1
        taken += alike[:1]
    assert 8 < sum(taken) < 32


# Labels and weights


def test_smoothing_is_that_of_its_paper():
    """arXiv 1512.00567 §7 with 5 classes and 0.1: 0.92 for the class, 0.02 for the others."""
    found = augment.smoothed(one_hot(np.array([1])), 0.1)
    np.testing.assert_allclose(found, [[0.02, 0.92, 0.02, 0.02, 0.02]], rtol=1e-6)


def test_balanced_classes_weigh_alike():
    """scikit-learn's own example: counts 2 and 1 give 0.75 and 1.5."""
    weights = augment.balanced(np.array([2, 1]))
    np.testing.assert_allclose(weights, [0.75, 1.5])
    counts = np.array([90, 9, 1])
    np.testing.assert_allclose(augment.balanced(counts) * counts, 100 / 3, rtol=1e-6)
    np.testing.assert_allclose(augment.balanced(np.array([2, 0, 1])), [0.75, 0, 1.5])


def test_the_weight_of_a_mixed_image_is_that_of_its_shares(images, labels):
    weights = np.array([1, 2, 3, 4, 5], np.float32)
    draws = Draws(0, 0, 0)
    _, plain, of_images = Tricks(class_weights=True).on_batch(images, labels, draws, weights)
    assert np.array_equal(of_images, weights[labels]) and plain is labels
    tricks = Tricks(mixup=1.0, class_weights=True)
    _, shared, of_images = tricks.on_batch(images, labels, draws, weights)
    np.testing.assert_allclose(of_images, shared @ weights, rtol=1e-6)
    smooth = Tricks(mixup=1.0, class_weights=True, label_smoothing=0.5)
    assert np.array_equal(smooth.on_batch(images, labels, draws, weights)[2], of_images)


# Erasing


def test_erased_rectangles_have_the_areas_and_shapes_of_the_paper():
    size = 64
    images = np.full((400, size, size, 1), -9, np.float32)
    augment.erase(images, 0.5, np.random.default_rng(0), np.ones(1), np.zeros((size, size, 1)))
    erased = images[..., 0] != -9
    some = erased.any(axis=(1, 2))
    assert 160 < some.sum() < 240  # 400 fair coins: 200 ± 4 standard deviations of 10.
    areas = erased[some].sum(axis=(1, 2)) / size**2
    rows, columns = (erased[some].any(axis=axis).sum(axis=1) for axis in (2, 1))
    assert np.array_equal(rows * columns, erased[some].sum(axis=(1, 2)))  # Each is a rectangle.
    assert areas.min() > 0.015 and areas.max() < 0.41 and areas.std() > 0.05
    assert (rows / columns).min() < 0.5 and (rows / columns).max() > 2
    assert 0 <= images[erased].min() < 20 and 235 < images[erased].max() <= 255


def test_the_noise_is_normalised_as_the_images_are():
    images = np.zeros((20, SIZE, SIZE, 3), np.float32)
    scale, offset = np.full(3, 2 / 255, np.float32), np.full((SIZE, SIZE, 3), -1, np.float32)
    augment.erase(images, 1.0, np.random.default_rng(0), scale, offset)
    assert -1 <= images.min() < -0.9 and 0.9 < images.max() < 1.001
    assert images.dtype == np.float32


def test_an_image_of_two_pixels_is_left_alone():
    images = np.zeros((4, 1, 2, 1), np.float32)
    augment.erase(images, 1.0, np.random.default_rng(0), np.ones(1), np.ones((1, 2, 1)))
    assert not images.any()


# TrivialAugment


def test_every_operation_occurs_about_as_often_and_the_strengths_are_31():
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, len(trivial.OPERATIONS), 14_000)
    assert len(trivial.OPERATIONS) == 14 and np.bincount(chosen).min() > 850
    gradient = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))[None, ..., None]
    seen = {
        trivial.augmented(gradient, np.random.default_rng(seed)).tobytes() for seed in range(2000)
    }
    # 10 operations of strengths, most of them with either sign, at 31 strengths.
    assert 200 < len(seen) < 14 * 2 * 31


@pytest.mark.parametrize(
    ("operation", "strength", "sign", "expected"),
    [
        ("identity", 1, 1, [[10, 200], [30, 240]]),
        ("brightness", 1, -1, [[0, 2], [0, 2]]),  # A hundredth, rounded down.
        ("brightness", 1, 1, [[19, 255], [59, 255]]),  # 1.99 times as bright.
        ("solarize", 0.5, 1, [[10, 55], [30, 15]]),  # 255 - v from 128 on.
        ("posterize", 1, 1, [[0, 192], [0, 192]]),  # Two bits are left.
        ("translate_x", 1, 1, [[0, 0], [0, 0]]),
        ("translate_x", 0.5, 1, [[200, 0], [240, 0]]),
        ("translate_y", 0.5, -1, [[0, 0], [10, 200]]),
        ("autocontrast", 0, 1, [[0, 210], [22, 255]]),  # From 10 to 240 to from 0 to 255.
        ("rotate", 0, 1, [[10, 200], [30, 240]]),
    ],
)
def test_an_operation_does_what_the_paper_says(operation, strength, sign, expected):
    pixels = np.array([[10, 200], [30, 240]], np.uint8)[..., None]
    found = trivial._on(pixels, trivial.OPERATIONS[operation], strength, sign)
    assert found.dtype == np.uint8 and found.shape == pixels.shape
    np.testing.assert_allclose(found[..., 0], expected, atol=1)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_images_of_any_number_of_channels_go_through(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 9, 12, channels), np.uint8)
    before = pixels.copy()
    found = trivial.augmented(pixels, np.random.default_rng(0))
    assert found.shape == pixels.shape and found.dtype == np.uint8
    assert np.array_equal(pixels, before) and not np.array_equal(found, before)


# Streams


def drawn(epoch=0, batch=0, seed=5, **keys):
    """Returns what tricks do to a batch of noise."""
    tricks, draws = Tricks(**keys), Draws(seed, epoch, batch)
    rng = np.random.default_rng(9)
    pixels = tricks.on_pixels(rng.integers(0, 256, (COUNT, SIZE, SIZE, 3), np.uint8), draws)
    normalised = Affine(np.float32(1 / 255), np.zeros(1, np.float32))
    images = tricks.on_images(pixels / np.float32(255), draws, normalised)
    return tricks.on_batch(images, np.arange(COUNT) % CLASSES, draws, np.ones(CLASSES, np.float32))


def test_without_tricks_a_batch_is_as_it_was():
    images, labels = drawn()
    rng = np.random.default_rng(9)
    assert np.array_equal(images, rng.integers(0, 256, images.shape, np.uint8) / np.float32(255))
    assert np.array_equal(labels, np.arange(COUNT) % CLASSES)


@pytest.mark.parametrize("trick", TRICKS)
def test_draws_hang_on_seed_epoch_and_batch_alone(trick):
    keys = {trick: TRICKS[trick]}
    first = drawn(**keys)
    np.random.seed(1)
    assert all(map(np.array_equal, first, drawn(**keys)))
    if trick in ("label_smoothing", "class_weights"):
        return
    for other in ({"epoch": 1}, {"batch": 1}, {"seed": 6}):
        assert not np.array_equal(first[0], drawn(**keys, **other)[0])


def test_no_two_streams_are_the_same_and_none_is_that_of_the_order():
    streams = range(1, 7)
    firsts = [Draws(3, 4, batch).of(stream).random() for stream in streams for batch in range(3)]
    firsts.append(np.random.default_rng([3, 4]).random())
    assert len(set(firsts)) == len(firsts)


@pytest.mark.parametrize(("trick", "other"), list(itertools.permutations(TRICKS, 2)))
def test_a_trick_that_is_added_shifts_no_draw_of_another(trick, other, monkeypatch):
    """Whatever else is on, a trick asks for its own numbers, from the first."""
    asked = {}

    class Recorded(Draws):
        def of(self, stream):
            asked.setdefault(stream, []).append(recorded := super().of(stream))
            return recorded

    def states(**keys):
        asked.clear()
        with monkeypatch.context() as patch:
            patch.setitem(globals(), "Draws", Recorded)
            drawn(**keys)
        return {stream: [one.bit_generator.state for one in ones] for stream, ones in asked.items()}

    if {trick, other} == {"mixup", "cutmix"}:
        return  # Either is taken; see above.
    alone = states(**{trick: TRICKS[trick]})
    both = states(**{trick: TRICKS[trick], other: TRICKS[other]})
    assert alone.items() <= both.items()


def test_a_recipe_names_its_tricks():
    recipe = RecipeConfig(mixup=0.2, class_weights="balanced", random_erasing=0.25)
    assert Tricks.of(recipe) == Tricks(mixup=0.2, class_weights=True, random_erasing=0.25)
    assert Tricks.of(RecipeConfig()) == Tricks()


# The user's own


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def made(body, name="f"):
        file = tmp_path / f"own_{abs(hash(body))}.py"
        file.write_text(body)
        return OwnAugmentation(f"{file.name}:{name}")

    return made


PIXELS = np.full((3, 4, 5, 1), 100, np.uint8)


def test_the_users_function_gets_pixels_and_random_numbers(own):
    f = own("def f(images, rng):\n    return images + rng.integers(0, 9, images.shape)\n")
    found = f(PIXELS, np.random.default_rng(0))
    expected = PIXELS + np.random.default_rng(0).integers(0, 9, PIXELS.shape)
    assert np.array_equal(found, expected) and found.dtype == np.float32
    assert f.error is None


def test_the_user_may_change_what_is_handed_over(own):
    f = own("def f(images, rng):\n    images[:] = 0\n    return images\n")
    before = PIXELS.copy()
    assert not f(before, np.random.default_rng(0)).any()
    assert np.array_equal(before, PIXELS)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def f(images, rng):\n    return 1 / 0\n", ["line 2: ZeroDivisionError"]),
        ("def f(images):\n    return images\n", ["takes 1 positional argument"]),
        ("def f(images, rng):\n    pass\n", ["returned NoneType", "(3, 4, 5, 1)"]),
        ("def f(images, rng):\n    return images[:1]\n", ["an array (1, 4, 5, 1)"]),
        ("def f(images, rng):\n    return images / 255 - 1\n", ["from -0.6", "from 0 to 255"]),
        ("def f(images, rng):\n    return images * float('nan')\n", ["nan"]),
        ("def f(images, rng):\n    return images > 3\n", ["bool"]),
        (
            "import random\ndef f(images, rng):\n    return images + random.random()\n",
            ["the same rng", "draw from rng alone"],
        ),
        ("def f(images, rng):\n    return images.astype(str)\n", ["array of <U"]),
    ],
)
def test_what_it_does_wrong_is_told_with_its_place(body, words, own):
    f = own(body)
    with pytest.raises(UserError) as error:
        f(PIXELS, np.random.default_rng(0))
    assert all(word in str(error.value) for word in [*words, "dataset.augment=own_"])
    assert "\n" not in str(error.value) and f.error is error.value


def test_a_file_that_does_not_import_is_told_with_its_line(own):
    with pytest.raises(UserError, match=r"line 1: NameError"):
        own("undefined\ndef f(images, rng):\n    return images\n")
