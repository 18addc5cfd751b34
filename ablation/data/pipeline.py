"""Batches of normalised inputs, in an order that depends on (seed, epoch) alone.

So both arms of a pair see the same images in the same order, and a resumed run goes on as if
nothing had happened.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from ablation.config import UserError
from ablation.data.augment import OWN, Draws, Tricks, balanced
from ablation.data.augmentations import AUGMENTATIONS, NONE, Drawn
from ablation.data.cache import Cache
from ablation.data.kinds import Affine
from ablation.targets import CLASSES
from ablation.targets.common import Target

Batch = tuple[np.ndarray, ...]
"""Inputs, of images float32 (batch, height, width, channels), and int32 labels (batch,); in
training, where the recipe asks for it, float32 labels (batch, classes) and float32 weights of the
inputs (batch,). Of another target than classes, labels are float32 (batch, outputs)."""


class TrainBatches:
    """The training batches of every epoch.

    An epoch is `floor(images / batch_size)` batches of a new permutation; the few images that are
    left over sit out that epoch, so every optimizer step of every run averages over as many.

    Args:
        cache: the data set.
        seed: of order and augmentation, 0 or more.
        batch_size: images a step, at most the training images.
        augment: one of `AUGMENTATIONS`; other names do nothing here.
        normalisation: see `affine`.
        tricks: what else is done to images and labels, an augmentation of the user's own too.
        target: what the labels say.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        seed: int,
        batch_size: int,
        augment: str,
        normalisation: str,
        tricks: Tricks | None = None,
        target: Target = CLASSES,
    ):
        self._images = cache.images("train")
        self._labels = target.to_learn(cache.labels("train"))
        self._outcomes = target.outcomes
        self._affine = affine(cache, normalisation)
        self._seed = seed
        self.batch_size = batch_size
        self._augment = augment
        self._tricks = tricks or Tricks()
        self._weights = np.ones(len(cache.meta["classes"]), np.float32)
        if self._tricks.class_weights:
            self._weights = balanced(np.bincount(self._labels, minlength=len(self._weights)))
        of_images = self._images.shape[1:3] if len(self._images.shape) == 4 else (0, 0)
        self._pad = np.array(of_images) // 8
        self.steps_per_epoch = len(self._images) // batch_size

    @property
    def error(self) -> UserError | None:
        """What an augmentation of the user's own could not do, once it could not."""
        return self._tricks.own.error if self._tricks.own else None

    def order_digest(self, epochs: int) -> str:
        """Returns the SHA-256 over the order of the images in so many epochs, augmentation too."""
        digest = hashlib.sha256()
        for epoch in range(epochs):
            for draw in self._draws(epoch):
                digest.update(draw.data)
        return digest.hexdigest()

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """Yields the `steps_per_epoch` batches of one epoch, from the `first` on, both from 0."""
        order, flips, shifts = self._draws(epoch)
        tricks, augmentation = self._tricks, AUGMENTATIONS.get(self._augment, NONE)
        for batch in range(first, self.steps_per_epoch):
            rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
            chosen = order[rows]
            draws = Draws(self._seed, epoch, batch)
            drawn = Drawn(flips[rows], shifts[rows], self._pad, draws.of(OWN))
            pixels = self._images[chosen]
            if augmentation.of_pixels:
                pixels = augmentation.of_pixels(pixels, drawn)
            pixels = tricks.on_pixels(pixels, draws)
            images = self._affine(pixels) if self._affine else pixels
            if augmentation.of_images:
                images = augmentation.of_images(images, drawn)
            images = tricks.on_images(images, draws, self._affine)
            labels = self._labels[chosen]
            yield tricks.on_batch(images, labels, draws, self._weights, self._outcomes)

    def _draws(self, epoch: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns an epoch's images in order and, for each, whether to flip it and how to crop."""
        rng = np.random.default_rng([self._seed, epoch])
        count = self.steps_per_epoch * self.batch_size
        order = rng.permutation(len(self._images))[:count]
        flips = rng.random(count) < 0.5
        return order, flips, rng.integers(0, 2 * self._pad + 1, (count, 2))


class ValBatches:
    """The validation images in stored order, in as few batches of about the same size as will do.

    Args:
        cache: the data set.
        batch_size: images a batch, at most.
        normalisation: see `affine`.
    """

    def __init__(self, cache: Cache, *, batch_size: int, normalisation: str):
        self._images = cache.images("val")
        self._labels = cache.labels("val")
        self._affine = affine(cache, normalisation)
        self.steps = -(-len(self._images) // batch_size)
        self._batch_size = -(-len(self._images) // self.steps)

    def __iter__(self) -> Iterator[Batch]:
        """Yields every batch once."""
        for start in range(0, len(self._images), self._batch_size):
            rows = slice(start, start + self._batch_size)
            stored = self._images[rows]
            yield self._affine(stored) if self._affine else stored, self._labels[rows]


def affine(cache: Cache, normalisation: str) -> Affine | None:
    """Returns how the inputs of a data set are normalised, None if they are not; see its kind."""
    return cache.kind.affine(cache, normalisation)
