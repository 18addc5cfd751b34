import numpy as np
import pytest
from PIL import Image

from ablation.data import cache, sources
from ablation.data.augmentations import AUGMENTATIONS
from ablation.data.pipeline import TrainBatches, ValBatches, affine
from ablation.validation import NORMALISATIONS

SIZE, PAD = 16, 2  # An eighth of the size, as He15 §4.2 pads 32 pixels by 4.
TRAIN, VAL, CLASSES = 21, 7, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Returns a cache of noise whose image i has i in its first pixel and the class i mod 3."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for split, count in (("train", TRAIN), ("val", VAL)):
        for i in range(count):
            # Never black, and brighter in red than in blue, so that statistics differ.
            pixels = rng.integers((120, 60, 30), (250, 200, 90), (SIZE, SIZE, 3)).astype(np.uint8)
            pixels[0, 0, 0] = i
            file = root / split / str(i % CLASSES) / f"{i:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
    keys = {"name": "noise", "source": "folder", "path": str(root), "image_size": SIZE}
    dataset = sources.typed(keys)
    return cache.prepare(dataset, tmp_path_factory.mktemp("cache"), lambda *_: None)


def batches(data, seed=0, batch_size=4, augment="none", normalisation="unit"):
    return TrainBatches(
        data, seed=seed, batch_size=batch_size, augment=augment, normalisation=normalisation
    )


def draw(data, epoch=0, **keys):
    """Returns one epoch's images and labels, all batches joined."""
    images, labels = zip(*batches(data, **keys).epoch(epoch), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def numbers(images):
    """Returns which image each one is; not for images that were moved."""
    return np.rint(images[:, 0, 0, 0] * 255).astype(int).tolist()


def drawn(data, epoch=0, **keys):
    return numbers(draw(data, epoch, **keys)[0])


# Order


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_an_epoch_depends_on_seed_and_epoch_and_not_on_what_was_drawn_before(augment, data):
    fresh, used = (batches(data, seed=5, augment=augment) for _ in range(2))
    for epoch in range(3):
        list(used.epoch(epoch))
    next(used.epoch(3))
    np.random.seed(1)
    for ours, theirs in zip(fresh.epoch(3), used.epoch(3), strict=True):
        assert np.array_equal(ours[0], theirs[0])
        assert np.array_equal(ours[1], theirs[1])


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_an_epoch_can_be_begun_at_any_of_its_batches(augment, data):
    made = batches(data, seed=5, augment=augment)
    whole = list(made.epoch(1))
    for first in range(len(whole) + 1):
        rest = list(made.epoch(1, first))
        assert len(rest) == len(whole) - first
        for ours, theirs in zip(rest, whole[first:], strict=True):
            assert np.array_equal(ours[0], theirs[0])
            assert np.array_equal(ours[1], theirs[1])


def test_every_epoch_and_every_seed_has_an_order_of_its_own(data):
    orders = {
        tuple(drawn(data, epoch, seed=seed)) for epoch in range(5) for seed in (0, 1, 2, 10**6)
    }
    assert len(orders) == 20


@pytest.mark.parametrize(("size", "steps"), [(1, 21), (4, 5), (7, 3), (20, 1), (21, 1)])
def test_an_epoch_is_as_many_full_batches_as_fit_without_repeats(size, steps, data):
    made = batches(data, batch_size=size)
    read = [images for images, _ in made.epoch(0)]
    assert made.steps_per_epoch == len(read) == steps
    assert {len(images) for images in read} == {size}
    seen = numbers(np.concatenate(read))
    assert len(set(seen)) == len(seen) == size * steps
    assert set(seen) <= set(range(TRAIN))


def test_no_image_sits_out_every_epoch(data):
    assert {i for epoch in range(20) for i in drawn(data, epoch)} == set(range(TRAIN))


def test_images_keep_their_labels_when_shuffled(data):
    images, labels = draw(data)
    assert numbers(images) != sorted(numbers(images))
    assert labels.dtype == np.int32
    assert [i % CLASSES for i in numbers(images)] == labels.tolist()


@pytest.mark.parametrize("batch_size", [5, 7])
def test_the_order_does_not_depend_on_the_batch_size(batch_size, data):
    ours, theirs = drawn(data), drawn(data, batch_size=batch_size)
    common = min(len(ours), len(theirs))
    assert ours[:common] == theirs[:common]


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_the_order_does_not_depend_on_augmentation_and_normalisation(augment, normalisation, data):
    labels = draw(data, augment=augment, normalisation=normalisation)[1]
    assert np.array_equal(labels, draw(data)[1])


# Augmentation


def test_flip_mirrors_about_half_of_the_images_left_to_right_and_changes_nothing_else(data):
    mirrored = []
    for epoch in range(60):
        plain, flipped = draw(data, epoch)[0], draw(data, epoch, augment="flip")[0]
        for image, result in zip(plain, flipped, strict=True):
            mirrored.append(np.array_equal(result, np.fliplr(image)))
            assert mirrored[-1] != np.array_equal(result, image)
    # 1,200 fair coins: 0.5 ± 4 standard deviations of 0.0144.
    assert 0.44 < np.mean(mirrored) < 0.56


def windows(image):
    """Yields (rows down, columns right, window) of an image in a border of zeros."""
    height, width, channels = image.shape
    padded = np.zeros((height + 2 * PAD, width + 2 * PAD, channels), image.dtype)
    padded[PAD : PAD + height, PAD : PAD + width] = image
    for down in range(2 * PAD + 1):
        for right in range(2 * PAD + 1):
            yield down, right, padded[down : down + height, right : right + width]


@pytest.mark.parametrize("normalisation", ["unit", "standard", "pixel_mean"])
def test_crop_flip_is_a_window_of_the_normalised_image_in_a_border_of_zeros(normalisation, data):
    seen = []
    for epoch in range(10):
        keys = {"normalisation": normalisation}
        plain = draw(data, epoch, **keys)[0]
        cropped = draw(data, epoch, augment="crop_flip", **keys)[0]
        assert plain.shape == cropped.shape
        for image, result in zip(plain, cropped, strict=True):
            found = [
                (down, right, flip)
                for down, right, window in windows(image)
                for flip, moved in enumerate((window, np.fliplr(window)))
                if np.array_equal(result, moved)
            ]
            assert len(found) == 1
            seen += found
    # 200 images: every shift in either direction occurs, with and without a flip.
    downs, rights, flips = map(set, zip(*seen, strict=True))
    assert downs == rights == set(range(2 * PAD + 1))
    assert flips == {0, 1}
    assert len({(down, right) for down, right, _ in seen}) > 20


def test_the_batches_leave_the_stored_images_alone(data):
    before = np.array(data.images("train"))
    for augment in AUGMENTATIONS:
        draw(data, augment=augment)
    assert np.array_equal(data.images("train"), before)


# Validation


@pytest.mark.parametrize(
    ("size", "sizes"), [(3, [3, 3, 1]), (5, [4, 3]), (7, [7]), (10, [7]), (1, [1] * 7)]
)
def test_validation_gives_every_image_once_in_stored_order(size, sizes, data):
    val = ValBatches(data, batch_size=size, normalisation="unit")
    for _ in range(2):
        read = list(val)
        assert [len(images) for images, _ in read] == sizes
        assert val.steps == len(sizes)
        images, labels = (np.concatenate(part) for part in zip(*read, strict=True))
        assert np.array_equal(np.rint(images * 255), data.images("val"))
        assert np.array_equal(labels, data.labels("val"))
        assert sorted(numbers(images)) == list(range(VAL))
        assert [i % CLASSES for i in numbers(images)] == labels.tolist()


# Normalisation


def normalised(data, normalisation):
    """Returns the training images, normalised, in stored order."""
    images = draw(data, batch_size=TRAIN, normalisation=normalisation)[0]
    order = np.argsort(drawn(data, batch_size=TRAIN))
    stored = np.argsort(data.images("train")[:, 0, 0, 0])
    back = np.empty_like(images)
    back[stored] = images[order]
    return back


def test_unit_is_from_0_to_1(data):
    values = affine(data, "unit")(np.uint8([0, 51, 255]))
    np.testing.assert_allclose(values, [0, 0.2, 1], rtol=1e-6)
    assert values.max() <= 1
    np.testing.assert_allclose(normalised(data, "unit") * 255, data.images("train"), rtol=1e-6)


def test_signed_is_from_minus_1_to_1(data):
    values = affine(data, "signed")(np.uint8([0, 51, 255]))
    np.testing.assert_allclose(values, [-1, -0.6, 1], rtol=1e-6)
    unit = normalised(data, "unit")
    np.testing.assert_allclose(normalised(data, "signed"), 2 * unit - 1, atol=1e-6)


def test_standard_has_mean_0_and_standard_deviation_1_in_each_channel(data):
    images = normalised(data, "standard").astype(np.float64)
    np.testing.assert_allclose(images.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(images.std(axis=(0, 1, 2)), 1, atol=1e-5)


def test_pixel_mean_subtracts_the_mean_image(data):
    images = normalised(data, "pixel_mean").astype(np.float64)
    np.testing.assert_allclose(images.mean(axis=0), 0, atol=1e-6)
    # Nothing else: the pixels keep the scale of [0, 1].
    np.testing.assert_allclose(images.std(), (data.images("train") / 255 - train_mean(data)).std())


def test_validation_images_are_normalised_by_the_training_images(data):
    val = data.images("val") / 255
    (images, _), *_ = ValBatches(data, batch_size=VAL, normalisation="pixel_mean")
    np.testing.assert_allclose(images, val - train_mean(data), atol=1e-6)
    (images, _), *_ = ValBatches(data, batch_size=VAL, normalisation="standard")
    train = data.images("train") / 255
    mean, std = train.mean(axis=(0, 1, 2)), train.std(axis=(0, 1, 2))
    np.testing.assert_allclose(images, (val - mean) / std, atol=1e-5)


def train_mean(data):
    return (data.images("train") / 255).mean(axis=0)


def test_standard_stays_finite_where_a_channel_never_changes(tmp_path):
    for split in ("train", "val"):
        for label, red in (("a", 0), ("b", 200)):
            file = tmp_path / "images" / split / label / "1.png"
            file.parent.mkdir(parents=True)
            Image.new("RGB", (8, 8), (red, 77, 255)).save(file)
    keys = {"name": "flat", "source": "folder", "path": str(tmp_path / "images"), "image_size": 8}
    flat = cache.prepare(sources.typed(keys), tmp_path / "cache", lambda *_: None)
    images, _ = draw(flat, batch_size=2, normalisation="standard")
    np.testing.assert_allclose(images[..., 1:], 0, atol=1e-4)
    np.testing.assert_allclose(np.abs(images[..., 0]), 1, atol=1e-5)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_batches_are_float32_whatever_is_done_to_them(normalisation, data):
    for augment in AUGMENTATIONS:
        images, _ = next(batches(data, augment=augment, normalisation=normalisation).epoch(0))
        assert (images.shape, images.dtype) == ((4, SIZE, SIZE, 3), np.float32)
    images, _ = next(iter(ValBatches(data, batch_size=4, normalisation=normalisation)))
    assert (images.shape, images.dtype) == ((4, SIZE, SIZE, 3), np.float32)


def test_an_unknown_normalisation_is_named(data):
    for make in (
        lambda: affine(data, "zscore"),
        lambda: batches(data, normalisation="zscore"),
        lambda: ValBatches(data, batch_size=4, normalisation="zscore"),
    ):
        with pytest.raises(ValueError, match="zscore"):
            make()


# Images that are not square


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Returns a cache of noise of 16x40 pixels in 5 channels."""
    folder = tmp_path_factory.mktemp("wide")
    x = np.random.default_rng(0).integers(1, 256, (12, 16, 40, 5)).astype(np.uint8)
    np.savez(folder / "data.npz", x=x, y=np.arange(12) % 2)
    keys = {"name": "wide", "source": "arrays", "path": str(folder / "data.npz")}
    dataset = sources.typed(keys | {"image_size": None})
    return cache.prepare(dataset, folder / "cache", lambda *_: None)


def test_crop_flip_moves_by_an_eighth_of_each_side(wide):
    down, right = set(), set()
    for epoch in range(40):
        whole = draw(wide, epoch, batch_size=3)[0]
        cropped = draw(wide, epoch, batch_size=3, augment="crop_flip")[0]
        assert cropped.shape == whole.shape == (9, 16, 40, 5)
        for image, found in zip(whole, cropped, strict=True):
            padded = np.pad(image, ((2, 2), (5, 5), (0, 0)))
            places = [
                (y, x)
                for y in range(5)
                for x in range(11)
                for one in (found, found[:, ::-1])
                if np.array_equal(padded[y : y + 16, x : x + 40], one)
            ]
            ((y, x),) = places
            down.add(y)
            right.add(x)
    assert down == set(range(5)) and right == set(range(11))


def test_square_images_are_drawn_as_they_always_were(data):
    """Another draw would be another order of the images in every finished run."""
    made = batches(data, seed=3)
    rng = np.random.default_rng([3, 1])
    order = rng.permutation(TRAIN)[:20]
    flips = rng.random(20) < 0.5
    shifts = rng.integers(0, 2 * PAD + 1, (20, 2))
    for ours, theirs in zip(made._draws(1), (order, flips, shifts), strict=True):
        np.testing.assert_array_equal(ours, theirs)
