"""Known networks as keras.applications has them, to stand beside our own.

VGG16 is Simonyan and Zisserman 2014, arXiv 1409.1556, without batch normalisation, as published,
and without the dropout between its dense layers (§3.1), which keras.applications leaves out;
DenseNet121 is Huang et al. 2016, arXiv 1608.06993. Its batch normalisation keeps 0.99 of the
running mean, so that what it validates means little before about a thousand steps.
"""

import keras

from ablation.networks.layers import BatchNormalization, layer_seed

SMALLEST_IMAGE = 32


def baseline(
    input_shape: tuple[int, int, int], classes: int, *, application: str, name: str, seed: int = 0
) -> keras.Model:
    """Returns an untrained baseline.

    Args:
        input_shape: height, width and channels, in pixels.
        classes: number of logits.
        application: its name in keras.applications.
        name: what a command calls it.
        seed: of the initial weights, which depend on it and on a layer's name only.

    Returns:
        The model from (batch, height, width, channels) to float32 logits. Its layers, their names
        and the kinds of their initializers are those of Keras.
    """
    model = getattr(keras.applications, application)(
        weights=None,
        input_shape=input_shape,
        classes=classes,
        classifier_activation=None,
        name=name,
    )
    logits = model.layers[-1].name

    def seeded(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if "kernel_initializer" in config:
            config["kernel_initializer"]["config"]["seed"] = layer_seed(seed, layer.name)
        if layer.name == logits:
            # Logits stay float32 under mixed precision, for the sake of the softmax.
            config["dtype"] = "float32"
        if type(layer) is keras.layers.BatchNormalization:
            return BatchNormalization.from_config(config)
        return type(layer).from_config(config)

    inputs = keras.Input(input_shape, name="images")
    return keras.models.clone_model(model, input_tensors=inputs, clone_function=seeded)
