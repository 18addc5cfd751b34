import math

import keras
import numpy as np
import pytest

from ablation.config import UserError
from ablation.recipes.cross_entropy import CrossEntropy
from ablation.training.losses import OwnLoss, build_loss, hits

LOGITS = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32))


def test_cross_entropy_of_shares_is_their_sum():
    shares = np.array([[0.9, 0.1, 0], [0, 0.5, 0.5]], np.float32)
    expected = [
        -0.9 * math.log(0.7) - 0.1 * math.log(0.2),
        -0.5 * math.log(0.1) - 0.5 * math.log(0.8),
    ]
    assert float(CrossEntropy()(shares, LOGITS)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_validation_labels_are_numbers_and_not_smoothed():
    expected = -(math.log(0.7) + math.log(0.8)) / 2
    assert float(CrossEntropy()(np.array([0, 2]), LOGITS)) == pytest.approx(expected, rel=1e-5)


def test_weights_are_those_of_the_images():
    labels, weights = np.array([0, 2]), np.array([0.5, 2], np.float32)
    expected = -(0.5 * math.log(0.7) + 2 * math.log(0.8)) / 2
    for loss in (CrossEntropy(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)):
        assert float(loss(labels, LOGITS, weights)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0, 1], [1, 0]),
        ([[0.92, 0.04, 0.04], [0.04, 0.92, 0.04]], [1, 0]),  # Smoothed.
        ([[0.4, 0.6, 0], [0, 0.4, 0.6]], [0, 1]),  # Mixed: the larger share counts.
    ],
)
def test_a_hit_is_of_the_class_with_the_largest_share(labels, expected):
    found = hits(keras.ops.convert_to_tensor(labels), keras.ops.convert_to_tensor(LOGITS))
    assert keras.ops.convert_to_numpy(found).tolist() == expected


@pytest.mark.parametrize(
    ("overrides", "kind"),
    [
        ([], keras.losses.SparseCategoricalCrossentropy),
        (["recipe.class_weights=balanced"], keras.losses.SparseCategoricalCrossentropy),
        (["recipe.mixup=0.2"], CrossEntropy),
        (["recipe.cutmix=1"], CrossEntropy),
        (["recipe.label_smoothing=0.1"], CrossEntropy),
    ],
)
def test_labels_are_numbers_unless_something_shares_them(overrides, kind, config):
    assert type(build_loss(config(*overrides).recipe, 10)) is kind


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def made(body, classes=3):
        file = tmp_path / f"loss_{abs(hash(body))}.py"
        file.write_text(f"from keras import ops\n{body}")
        return OwnLoss(f"{file.name}:f", classes)

    return made


BRIER = "def f(labels, logits):\n    return ops.sum((ops.softmax(logits) - labels) ** 2, axis=-1)\n"


def test_the_users_loss_gets_shares_in_training_and_validation(own):
    loss = own(BRIER)
    expected = np.mean([0.3**2 + 0.2**2 + 0.1**2, 0.1**2 + 0.1**2 + 0.2**2])
    assert float(loss(np.array([0, 2]), LOGITS)) == pytest.approx(expected, rel=1e-5)
    shares = np.eye(3, dtype=np.float32)[[0, 2]]
    assert float(loss(shares, LOGITS)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def f(labels, logits):\n    return undefined\n", ["line 3: NameError"]),
        ("def f(labels):\n    return labels\n", ["takes 1 positional argument"]),
        ("def f(labels, logits):\n    return 0.5\n", ["returned float", "shape (4,)"]),
        ("def f(labels, logits):\n    return ops.mean(logits)\n", ["shape ()", "shape (4,)"]),
        ("def f(labels, logits):\n    return logits\n", ["shape (4, 3)", "shape (4,)"]),
        ("def f(labels, logits):\n    return ops.sum(logits, 0)\n", ["shape (3,)", "shape (4,)"]),
        ("def f(labels, logits):\n    return logits[:, 0] / 0\n", ["inf"]),
        (
            "from keras import losses\nclass f(losses.Loss):\n"
            "    def __init__(self, gamma=2.0, name='f'):\n"
            "        super().__init__(name=name or 'f')\n",
            [":f is a class; name a function"],
        ),
    ],
)
def test_what_it_does_wrong_is_told_before_training(body, words, own):
    with pytest.raises(UserError) as error:
        own(body)
    assert all(word in str(error.value) for word in [*words, "recipe.loss=loss_"])
    assert "\n" not in str(error.value)
