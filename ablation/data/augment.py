"""What a recipe does to the images and labels of a batch beside flips and crops.

Each trick draws from a stream of its own, which hangs on the seed, the epoch and the batch alone.
So one that is added shifts no draw of another, a run that is resumed goes on as if nothing had
happened, and two runs that share a trick draw the same. NumPy and Pillow compute all of it, on
every backend.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from ablation import opened, source
from ablation.config import RecipeConfig, UserError
from ablation.data import trivial
from ablation.data.kinds import IMAGES, KINDS, Affine, Kind, Meta

OWN, TRIVIAL, ERASING, MIXUP, CUTMIX, CHOICE = range(1, 7)
"""The streams. None is 0: to NumPy [seed, epoch] is the same as [seed, epoch, 0, 0], and that is
what the order of the images is drawn from."""

_ERASED_AREA, _ERASED_SHAPE = (0.02, 0.4), (0.3, 1 / 0.3)
"""Zhong et al. 2017, arXiv 1708.04896, §4.2: the rectangle's share of the image, and its height by
its width."""

_TRIES = 100  # The paper tries for ever; a rectangle of some shapes fits into no tiny image.

Function = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""An augmentation of the user's own: pixels and random numbers to pixels."""


@dataclass(frozen=True)
class Draws:
    """Where the random numbers of one batch come from.

    Attributes:
        seed: of the run.
        epoch: from 0.
        batch: of the epoch, from 0.
    """

    seed: int
    epoch: int
    batch: int

    def of(self, stream: int) -> np.random.Generator:
        """Returns the random numbers of a stream, from the first."""
        return np.random.default_rng([self.seed, self.epoch, stream, self.batch])


@dataclass(frozen=True)
class Tricks:
    """What is done to a batch; as it stands by default, nothing.

    Attributes:
        own: an augmentation of the user's own.
        trivial_augment: whether each image goes through one random operation; see `trivial`.
        random_erasing: with what probability a rectangle of an image is filled with noise.
        mixup: alpha of the Beta distribution of a batch's shares, 0 for none; see `mixed_up`.
        cutmix: the same of `cut_and_mixed`. Of both, a fair coin for each batch takes one.
        label_smoothing: what all classes share of each label.
        class_weights: whether each class weighs alike in the loss; see `balanced`.
    """

    own: "OwnAugmentation | None" = None
    trivial_augment: bool = False
    random_erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    label_smoothing: float = 0.0
    class_weights: bool = False

    @classmethod
    def of(cls, recipe: RecipeConfig, own: "OwnAugmentation | None" = None) -> "Tricks":
        """Returns what a recipe does."""
        keys = (one.name for one in fields(cls) if one.name not in ("own", "class_weights"))
        given = {key: getattr(recipe, key) for key in keys}
        return cls(own, class_weights=recipe.class_weights == "balanced", **given)

    @property
    def shares(self) -> bool:
        """Whether a label is a share of every class and no number of one."""
        return bool(self.mixup or self.cutmix or self.label_smoothing)

    def on_pixels(self, pixels: np.ndarray, draws: Draws) -> np.ndarray:
        """Returns inputs as they are stored, of images uint8 (batch, height, width, channels).

        Of pixels, what the user's own function returns may be float, from 0 to 255.
        """
        if self.own:
            pixels = self.own(pixels, draws.of(OWN))
        if self.trivial_augment:
            pixels = trivial.augmented(pixels, draws.of(TRIVIAL))
        return pixels

    def on_images(self, images: np.ndarray, draws: Draws, affine: Affine | None) -> np.ndarray:
        """Returns normalised inputs, of images float32 (batch, height, width, channels).

        Args:
            images: they may be changed in place.
            draws: of the batch.
            affine: that has normalised them.
        """
        if self.random_erasing and affine:
            noise = np.broadcast_to(affine.offset, images.shape[1:])
            erase(images, self.random_erasing, draws.of(ERASING), affine.scale, noise)
        return images

    def on_batch(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        draws: Draws,
        weights: np.ndarray,
        outcomes: int | None = None,
    ) -> tuple[np.ndarray, ...]:
        """Returns the images of a batch, its labels, and with class weights the images' weights.

        Args:
            images: float32 (batch, height, width, channels), normalised.
            labels: int32 (batch,), or of another target float32 (batch, outputs).
            draws: of the batch.
            weights: float32 (classes,) of each class.
            outcomes: over how many a smoothed label is spread, None for the classes.

        Returns:
            Labels are float32 (batch, classes) where they are `shares`; weights are float32
            (batch,), those of the classes by their shares.
        """
        if not self.shares:
            return (images, labels, weights[labels]) if self.class_weights else (images, labels)
        shared = np.eye(len(weights), dtype=np.float32)[labels] if labels.ndim == 1 else labels
        cuts = self.cutmix and not (self.mixup and draws.of(CHOICE).random() < 0.5)
        if cuts:
            images, shared = cut_and_mixed(images, shared, self.cutmix, draws.of(CUTMIX))
        elif self.mixup:
            images, shared = mixed_up(images, shared, self.mixup, draws.of(MIXUP))
        of_images = (shared @ weights,) if self.class_weights else ()
        return images, smoothed(shared, self.label_smoothing, outcomes), *of_images


def mixed_up(
    images: np.ndarray, labels: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each image and its label mixed with those of another one of the batch.

    Zhang et al. 2017, arXiv 1710.09412, eq. 2, and like their code with one share for a batch.

    Args:
        images: float32 (batch, height, width, channels).
        labels: float32 (batch, classes).
        alpha: of the Beta(alpha, alpha) distribution of the share, more than 0.
        rng: draws the share and the partners.
    """
    share = np.float32(rng.beta(alpha, alpha))
    others = rng.permutation(len(images))
    return (
        share * images + (1 - share) * images[others],
        share * labels + (1 - share) * labels[others],
    )


def cut_and_mixed(
    images: np.ndarray, labels: np.ndarray, alpha: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images with a rectangle of another one each, the labels by the areas.

    Yun et al. 2019, arXiv 1905.04899, eq. 1 and 2 and Algorithm 1: one rectangle for a batch.

    Args:
        images: float32 (batch, height, width, channels); they are changed in place.
        labels: float32 (batch, classes).
        alpha: of the Beta(alpha, alpha) distribution of the share that stays, more than 0.
        rng: draws share, rectangle and partners.
    """
    height, width = images.shape[1:3]
    side = np.sqrt(1 - rng.beta(alpha, alpha))
    rows, columns = (
        slice(max(0, middle - int(side * size) // 2), min(size, middle + int(side * size) // 2))
        for size, middle in ((height, rng.integers(height)), (width, rng.integers(width)))
    )
    others = rng.permutation(len(images))
    cut = images[others, rows, columns]  # A copy, so that no image gets what was pasted before.
    images[:, rows, columns] = cut
    share = np.float32(1 - cut.shape[1] * cut.shape[2] / (height * width))
    return images, share * labels + (1 - share) * labels[others]


def smoothed(labels: np.ndarray, smoothing: float, outcomes: int | None = None) -> np.ndarray:
    """Returns labels of which all classes have got an equal part.

    Szegedy et al. 2015, arXiv 1512.00567, §7: (1 - smoothing) y + smoothing / classes.

    Args:
        labels: float32 (batch, classes), each row with the sum 1.
        smoothing: the part, 0 to below 1.
        outcomes: of each label, None for as many as there are classes.
    """
    part = np.float32(smoothing / (outcomes or labels.shape[1]))
    return (1 - np.float32(smoothing)) * labels + part


def erase(
    images: np.ndarray,
    probability: float,
    rng: np.random.Generator,
    scale: np.ndarray,
    offset: np.ndarray,
) -> None:
    """Fills a rectangle of some images with random pixels, in place.

    Zhong et al. 2017, arXiv 1708.04896, Algorithm 1, in the form that the paper calls RE-R.

    Args:
        images: float32 (batch, height, width, channels), normalised.
        probability: of each image, 0 to 1.
        rng: draws images, rectangles and pixels.
        scale: that has normalised the images.
        offset: likewise, of the shape of an image.
    """
    height, width, channels = images.shape[1:]
    scale = np.broadcast_to(scale, images.shape[1:])
    for place in np.flatnonzero(rng.random(len(images)) < probability):
        for _ in range(_TRIES):
            area = rng.uniform(*_ERASED_AREA) * height * width
            shape = rng.uniform(*_ERASED_SHAPE)
            rows, columns = round(np.sqrt(area * shape)), round(np.sqrt(area / shape))
            if 0 < rows < height and 0 < columns < width:
                top, left = rng.integers(0, (height - rows + 1, width - columns + 1))
                there = np.s_[top : top + rows, left : left + columns]
                pixels = rng.integers(0, 256, (rows, columns, channels))
                images[place][there] = pixels * scale[there] + offset[there]
                break


def balanced(counts: np.ndarray) -> np.ndarray:
    """Returns the weight of each class with which all weigh alike, the mean over images being 1.

    images / (classes · images of the class), as scikit-learn's `class_weight="balanced"`; King and
    Zeng 2001, "Logistic Regression in Rare Events Data", §4.2.

    Args:
        counts: the training images of each class.

    Returns:
        float32 (classes,), 0 for a class without images, which is not counted as one.
    """
    weights = np.zeros(len(counts), np.float32)
    there = counts > 0
    weights[there] = counts.sum() / (there.sum() * counts[there])
    return weights


class OwnAugmentation:
    """An augmentation of the user's own, which tells errors by file and line.

    Args:
        name: such as "my_augment.py:f".
        kind: of the inputs.
        meta: of the data set.

    Attributes:
        error: what it could not do, once it could not. Keras, which runs it in a thread, wraps
            what is raised there beyond recognition.

    Raises:
        UserError: its file cannot be imported.
    """

    def __init__(self, name: str, kind: Kind = KINDS[IMAGES], meta: Meta | None = None):
        self.error: UserError | None = None
        self._is_checked = False
        self._name, self._kind, self._meta = name, kind, meta or {}
        located = source.locate(name, "dataset.augment")
        self._files = source.local_modules(located)
        try:
            with opened.noted():
                self._function: Function = source.load(located)
        except UserError:
            raise
        except source.RAISED as error:
            raise UserError(source.user_error(error, self._files)) from error

    def __call__(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns what the function makes of inputs as they are stored.

        Of images these are uint8 (batch, height, width, channels), which may become float.

        Raises:
            UserError: the function raised something, returned no such inputs, or draws from
                elsewhere than `rng`.
        """
        again = None if self._is_checked else copy.deepcopy(rng)
        found = self._called(pixels, rng)
        wrong = self._what_is_wrong(found, pixels.shape)
        if wrong:
            raise self._failed(
                f"{self._key} returned {wrong}; it returns the {self._kind.noun.many} that it "
                f"gets, {pixels.shape} with {self._kind.numbers}."
            )
        if again and not np.array_equal(found, self._called(pixels, again)):
            # Of the first batch only. A run that is resumed would draw others.
            raise self._failed(
                f"{self._key} returned two results for one batch and the same rng, so it draws "
                "from elsewhere too; draw from rng alone, such as rng.normal(0, 8, images.shape)."
            )
        self._is_checked = True
        if found.dtype == pixels.dtype:
            return found
        return found.astype(np.float32 if pixels.dtype == np.uint8 else pixels.dtype)

    def _called(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns what the function returns."""
        try:
            return self._function(np.array(pixels), rng)
        except source.RAISED as error:
            raise self._failed(f"{self._key}: {source.user_error(error, self._files)}") from error

    def _failed(self, says: str) -> UserError:
        """Returns what it could not do, which it keeps."""
        self.error = UserError(says)
        return self.error

    def _what_is_wrong(self, found: object, shape: tuple[int, ...]) -> str | None:
        """Returns what inputs must not be, None if nothing."""
        if not isinstance(found, np.ndarray):
            return type(found).__name__
        if found.shape != shape:
            return f"an array {found.shape}"
        return self._kind.wrong(found, self._meta)

    @property
    def _key(self) -> str:
        return f"dataset.augment={self._name}"
