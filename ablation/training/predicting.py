"""What a network says of the validation images: its score after each epoch, and its predictions.

Keras's own validation would trace the network once more than its prediction does, and once again
for a last batch that is smaller. Here one function is traced, every batch has the same shape, and
what the last epoch was judged by are the predictions that are kept.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import keras
import numpy as np

from ablation.backends.in_order import ahead
from ablation.data.pipeline import Batch
from ablation.targets import CLASSES
from ablation.targets.common import Target
from ablation.training.averaging import averaged

_JUDGED_AT_ONCE = 4096


class Validation(keras.callbacks.Callback):
    """Adds `val_loss` and what the target tracks, such as `val_accuracy`, to what an epoch logs.

    So it comes before who reads them.

    The loss is that which the model was compiled with, without penalties on weights, and of whole
    labels: what a recipe smooths, mixes or weighs in training is no part of it. Where the optimizer
    keeps an average of the weights, that is what is judged.

    Args:
        batches: of the validation images, each time from the first.
        after_batch: what is called after each batch.
        target: what the labels say.

    Attributes:
        latest: labels (images,) and float32 outputs (images, classes) after the last epoch, None
            before the first.
    """

    def __init__(
        self,
        batches: Iterable[Batch],
        after_batch: Sequence[Callable[[], None]] = (),
        target: Target = CLASSES,
    ):
        super().__init__()
        self._target = target
        self._batches = batches
        self._after_batch = after_batch
        self.latest: tuple[np.ndarray, np.ndarray] | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Judges the network."""
        labels, outputs = self.latest = self.predict()
        logs["val_loss"] = self._loss(labels, outputs)
        for name, value in self._target.judged(labels, outputs).items():
            logs[f"val_{name}"] = value

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns labels (images,) and float32 outputs (images, classes)."""
        found = []
        with averaged(self.model):
            for of_batch in _said(self.model, self._batches):
                found.append(of_batch)
                for call in self._after_batch:
                    call()
        labels, outputs = zip(*found, strict=True)
        return np.concatenate(labels), np.concatenate(outputs)

    def _loss(self, labels: np.ndarray, outputs: np.ndarray) -> float:
        total, labels = 0.0, self._target.to_learn(labels)
        for start in range(0, len(labels), _JUDGED_AT_ONCE):
            rows = slice(start, start + _JUDGED_AT_ONCE)
            total += float(self.model.loss(labels[rows], outputs[rows])) * len(labels[rows])
        return total / len(labels)


def _said(model: keras.Model, batches: Iterable[Batch]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields labels (batch,) and float32 outputs (batch, classes) of each batch."""
    size = 0
    for images, labels in ahead(iter(batches)):
        count = len(images)
        size = size or count
        if count < size:
            # Another shape would be traced, or compiled, anew. It is filled with its own images, so
            # that a network that looks at the whole batch sees no others.
            images = np.resize(images, (size, *images.shape[1:]))
        outputs = keras.ops.convert_to_numpy(model.predict_on_batch(images))
        yield labels, outputs[:count].astype(np.float32, copy=False)
