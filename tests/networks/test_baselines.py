import keras
import numpy as np
import pytest
from keras.layers import BatchNormalization, Conv2D, Dense

from ablation.networks import layers
from ablation.networks.build import build

CLASSES = 10


def kernels(model):
    kinds = (Conv2D, Dense)
    return {x.name: x.kernel.numpy() for x in model.layers if isinstance(x, kinds)}


@pytest.fixture(scope="module", params=["vgg16", "densenet121"])
def baseline(request):
    return request.param, build(request.param, (32, 32, 1), CLASSES, seed=3)


def test_it_has_the_layers_of_keras_in_their_order(baseline):
    arch, model = baseline
    application = {"vgg16": "VGG16", "densenet121": "DenseNet121"}[arch]
    theirs = getattr(keras.applications, application)(
        weights=None, input_shape=(32, 32, 1), classes=CLASSES, classifier_activation=None
    )
    assert [weight.path for weight in model.weights] == [weight.path for weight in theirs.weights]
    assert [x.output.shape for x in model.layers] == [x.output.shape for x in theirs.layers]
    # Given the same weights it computes the same.
    model.set_weights(theirs.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 1)).astype("float32")
    np.testing.assert_allclose(model(images), theirs(images), rtol=1e-3, atol=1e-4)


def test_weights_depend_on_seed_and_layer_alone():
    first = kernels(build("vgg16", (32, 32, 1), CLASSES, seed=3))
    keras.utils.set_random_seed(7)
    again, other = (kernels(build("vgg16", (32, 32, 1), CLASSES, seed=seed)) for seed in (3, 4))
    assert first.keys() == again.keys() == other.keys()
    for name, kernel in first.items():
        np.testing.assert_array_equal(kernel, again[name])
        assert not np.isclose(kernel, other[name]).all()
    assert len({kernel.ravel()[:8].tobytes() for kernel in first.values()}) == len(first)


def test_batch_normalisation_is_ours_with_the_values_of_keras(baseline):
    arch, model = baseline
    norms = [x for x in model.layers if isinstance(x, BatchNormalization)]
    assert len(norms) == {"vgg16": 0, "densenet121": 121}[arch]
    assert all(type(norm) is layers.BatchNormalization for norm in norms)
    assert {(norm.momentum, norm.epsilon) for norm in norms} <= {(0.99, 1.001e-5)}


def test_grey_and_colour_images_give_logits():
    for channels in (1, 3):
        model = build("vgg16", (32, 32, channels), 7)
        images = np.random.default_rng(0).normal(size=(4, 32, 32, channels)).astype("float32")
        logits = model(images).numpy()
        assert logits.shape == (4, 7) and np.isfinite(logits).all()
        assert (logits < 0).any()  # No softmax.


@pytest.mark.usefixtures("mixed_bfloat16")
def test_logits_stay_float32_under_mixed_precision():
    model = build("vgg16", (32, 32, 1), CLASSES)
    assert model(np.ones((2, 32, 32, 1), "float32"), training=True).dtype == "float32"
    assert model.layers[-1].compute_dtype == "float32"
    assert {layer.compute_dtype for layer in model.layers[1:-1]} == {"bfloat16"}
