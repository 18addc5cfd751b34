"""A small pre-activation net for small images, and its plain counterpart.

| part | preact15 at 28x28 |
|---|---|
| stem | 3x3 convolution with 8 filters, ReLU |
| stage 1 | two units with 16 filters, 2x2 max-pool |
| stage 2 | two units with 32 filters, 2x2 max-pool |
| stage 3 | two units with 64 filters |
| head | flatten, dense 128, ReLU, logits |

A unit is BN-ReLU-convolution twice, as in He et al. 2016 (arXiv 1603.05027, Fig. 4e), all of them
3x3. Its shortcut carries what enters the unit, through a 1x1 convolution without BN where the width
changes. Convolutions have biases and are padded "same"; kernels and batch normalisation start as in
`resnet`. The 15 are the stem, twelve convolutions in units and two dense layers.

Nothing normalises what reaches the dense layers, so the residual net wants Adam: stochastic
gradient descent with momentum at 0.01 was seen to diverge.
"""

from dataclasses import dataclass

import keras
from keras import layers

from ablation.networks.layers import bn_relu, he_dense, he_normal

PARTS = {
    "plain": {
        "title": "net",
        "labels": {True: "plain", False: "residual"},
        "reference": True,
        "neutral": False,
    },
}
SMALLEST_IMAGE = 4

_STEM, _UNITS, _WIDTHS, _DENSE = 8, 2, (16, 32, 64), 128


def small(
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    name: str,
    seed: int = 0,
    plain: bool = False,
) -> keras.Model:
    """Builds the net.

    Args:
        input_shape: height, width and channels, in pixels.
        classes: number of logits.
        name: of the net.
        seed: of the initial weights, which depend on it and on a layer's name only.
        plain: leave out every shortcut and the addition it feeds, and nothing else.

    Returns:
        A functional model, float images (batch, height, width, channels) to float32 logits.
    """
    return _Small(plain, seed).model(
        input_shape, classes, f"{'plain' if plain else 'residual'}_{name}"
    )


@dataclass(frozen=True)
class _Small:
    """One net; see `small` for what each field does."""

    plain: bool
    seed: int

    def model(self, input_shape: tuple[int, int, int], classes: int, name: str) -> keras.Model:
        """Returns the model from (batch, height, width, channels) to float32 logits."""
        inputs = keras.Input(input_shape, name="images")
        x = self._conv(inputs, _STEM, 3, "stem_conv")
        x = layers.ReLU(name="stem_relu")(x)
        for stage, width in enumerate(_WIDTHS, start=1):
            if stage > 1:
                x = layers.MaxPooling2D(2, name=f"stage{stage - 1}_pool")(x)
            for unit in range(1, _UNITS + 1):
                x = self._unit(x, width, f"stage{stage}_unit{unit}")
        x = layers.Flatten(name="flatten")(x)
        x = he_dense(self.seed, x, _DENSE, "dense")
        x = layers.ReLU(name="dense_relu")(x)
        # Logits stay float32 under mixed precision, for the sake of the softmax.
        return keras.Model(
            inputs, he_dense(self.seed, x, classes, "logits", dtype="float32"), name=name
        )

    def _unit(self, x, width: int, name: str):
        """The convolutions of one unit and, unless the net is plain, the shortcut around them."""
        branch = x
        for i in (1, 2):
            branch = bn_relu(branch, f"{name}_{i}")
            branch = self._conv(branch, width, 3, f"{name}_{i}_conv")
        if self.plain:
            return branch
        widened = x.shape[-1] != width
        shortcut = self._conv(x, width, 1, f"{name}_shortcut_conv") if widened else x
        return layers.Add(name=f"{name}_add")([branch, shortcut])

    def _conv(self, x, filters: int, kernel: int, name: str):
        return layers.Conv2D(
            filters,
            kernel,
            padding="same",
            kernel_initializer=he_normal(self.seed, name),
            name=name,
        )(x)
