import keras
import numpy as np
import pytest
import tensorflow as tf

from ablation.networks.layers import BatchNormalization, Conv2D, ZeroPadShortcut


def test_zero_pad_takes_every_second_pixel_and_appends_channels_of_zeros():
    image = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], "float32")[None, :, :, None]
    outputs = ZeroPadShortcut(3, strides=2)(image)
    expected = [[[[1, 0, 0], [3, 0, 0]], [[9, 0, 0], [11, 0, 0]]]]
    np.testing.assert_array_equal(outputs, expected)


def test_zero_pad_with_stride_1_keeps_every_pixel():
    image = np.arange(1 * 3 * 4 * 2, dtype="float32").reshape(1, 3, 4, 2)
    outputs = np.asarray(ZeroPadShortcut(5, strides=1)(image))
    np.testing.assert_array_equal(outputs[..., :2], image)
    np.testing.assert_array_equal(outputs[..., 2:], np.zeros((1, 3, 4, 3)))


def test_zero_pad_without_new_channels_only_subsamples():
    image = np.arange(1 * 4 * 4 * 2, dtype="float32").reshape(1, 4, 4, 2)
    np.testing.assert_array_equal(ZeroPadShortcut(2, strides=2)(image), image[:, ::2, ::2])


def test_zero_pad_has_no_weights_and_a_symbolic_shape():
    layer = ZeroPadShortcut(32, strides=2)
    assert layer(keras.Input((7, 8, 16))).shape == (None, 4, 4, 32)
    assert layer.weights == []


def test_zero_pad_survives_its_config():
    layer = ZeroPadShortcut(32, strides=2, name="pad")
    config = keras.saving.serialize_keras_object(layer)
    restored = keras.saving.deserialize_keras_object(config)
    assert isinstance(restored, ZeroPadShortcut)
    assert restored.get_config() == layer.get_config()


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3), (4, 4), (5, 4), (7, 8)], ids=str
)
def test_convolution_equals_that_of_keras(size, kernel, strides):
    images = tf.random.stateless_normal((2, *size, 4), seed=(0, 1))
    results = []
    for kind in (Conv2D, keras.layers.Conv2D):
        initial = keras.initializers.HeNormal(0)
        layer = kind(6, kernel, strides, "same", use_bias=False, kernel_initializer=initial)
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = layer(images)
            weighed = tf.reduce_sum(outputs * tf.random.stateless_normal(outputs.shape, (2, 3)))
        results.append([outputs, *tape.gradient(weighed, [images, layer.kernel.value])])
    for ours, of_keras in zip(*results, strict=True):
        np.testing.assert_allclose(ours, of_keras, atol=1e-5)


@pytest.mark.parametrize(
    "size, kernel, product",
    [(1, 3, True), (3, 3, True), (4, 3, False), (4, 1, True), (5, 1, False)],
)
def test_only_tiny_images_are_convolved_as_a_matrix_product(size, kernel, product):
    layer = Conv2D(6, kernel, padding="same")
    layer.build((None, size, size, 4))
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec((None, size, size, 4))).graph
    assert ("Conv2D" in {operation.type for operation in graph.get_operations()}) != product


def two_norms(channels, **kwargs):
    """Ours and Keras's, with the same values of no special kind."""
    rng = np.random.default_rng(0)
    values = [
        rng.uniform(0.5, 2, channels),
        rng.normal(size=channels),
        rng.normal(size=channels),
        rng.uniform(0.5, 2, channels),
    ]
    norms = BatchNormalization(**kwargs), keras.layers.BatchNormalization(**kwargs)
    for norm in norms:
        norm.build((None, None, None, channels))
        norm.set_weights(values)
    return norms


def outputs_and_gradients(norm, inputs, upstream, training):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = norm(inputs, training=training)
        loss = tf.reduce_sum(outputs * upstream)
    return outputs, *tape.gradient(loss, [inputs, norm.gamma.value, norm.beta.value])


@pytest.mark.parametrize("other", [{"padding": "valid"}, {"groups": 2}, {"dilation_rate": 2}])
def test_convolution_refuses_what_its_product_does_not_have(other):
    with pytest.raises(ValueError, match="Only padding 'same'"):
        Conv2D(4, 3, **{"padding": "same"} | other)


# A batch of one pixel has no variance; two and three show a biased from an unbiased one.
@pytest.mark.parametrize("shape", [(8, 5, 6, 4), (3, 1, 1, 4), (1, 1, 2, 4), (1, 1, 1, 4)], ids=str)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_batch_norm_equals_that_of_keras(shape, training, mode):
    rng = np.random.default_rng(1)
    norms = two_norms(shape[-1], momentum=0.9, epsilon=1e-5)
    steps = []
    for norm in norms:

        def step(inputs, upstream, norm=norm):
            return outputs_and_gradients(norm, inputs, upstream, training)

        spec = tf.TensorSpec((None, *shape[1:]))
        steps.append(tf.function(step, [spec, spec]) if mode == "graph" else step)
    for _ in range(4):
        inputs = tf.constant(rng.normal(2, 3, shape), "float32")
        upstream = tf.constant(rng.normal(size=shape), "float32")
        results = [step(inputs, upstream) for step in steps]
        for ours, theirs in zip(*results, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
        for norm, (_, _, gamma_gradient, beta_gradient) in zip(norms, results, strict=True):
            norm.gamma.assign_sub(0.01 * gamma_gradient)
            norm.beta.assign_sub(0.01 * beta_gradient)
    for ours, theirs in zip(norms[0].weights, norms[1].weights, strict=True):
        assert ours.name == theirs.name
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_batch_norm_running_statistics_after_one_step_by_hand():
    norm = BatchNormalization(momentum=0.9, epsilon=1e-5)
    pixels = np.array([1.0, 2.0, 6.0], "float32")  # Mean 3, biased variance 14 / 3.
    norm(pixels.reshape(3, 1, 1, 1), training=True)
    np.testing.assert_allclose(norm.moving_mean, [0.3], rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, [0.9 + 0.1 * 14 / 3], rtol=1e-6)


def test_batch_norm_in_inference_leaves_the_running_statistics():
    norm, _ = two_norms(4)
    before = [weight.numpy() for weight in norm.weights]
    norm(np.ones((2, 3, 3, 4), "float32"), training=False)
    for old, weight in zip(before, norm.weights, strict=True):
        np.testing.assert_array_equal(old, weight)


def test_frozen_batch_norm_infers_also_while_training():
    norm, reference = two_norms(4)
    norm.trainable = reference.trainable = False
    before = [weight.numpy() for weight in norm.weights]
    inputs = np.random.default_rng(0).normal(2, 3, (2, 3, 3, 4)).astype("float32")
    outputs = norm(inputs, training=True)
    np.testing.assert_allclose(outputs, reference(inputs, training=True), rtol=1e-4, atol=1e-5)
    for old, weight in zip(before, norm.weights, strict=True):
        np.testing.assert_array_equal(old, weight)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_in_bfloat16_keeps_its_weights_in_float32(training):
    norm, reference = two_norms(4, dtype="mixed_bfloat16")
    inputs = np.random.default_rng(0).normal(2, 3, (8, 5, 6, 4))
    inputs = keras.ops.cast(inputs, "bfloat16")
    outputs, expected = norm(inputs, training=training), reference(inputs, training=training)
    assert outputs.dtype == tf.bfloat16
    assert {weight.dtype for weight in norm.weights} == {"float32"}
    # One step of bfloat16 is 2**-8 of the value.
    np.testing.assert_allclose(
        tf.cast(outputs, "float32"), tf.cast(expected, "float32"), rtol=2**-7, atol=2**-7
    )
    for ours, theirs in zip(norm.weights, reference.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4)
