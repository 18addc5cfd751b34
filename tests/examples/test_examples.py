"""The networks of `examples/`, each loaded as a user's file is."""

import importlib.util
import math
from pathlib import Path

import keras
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trainable(model):
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_knows_nothing_of_this_project(path):
    lines = path.read_text().splitlines()
    assert len(lines) < 90
    assert not any("ablation" in line for line in lines if "import" in line)
    # As it is pasted into a shell.
    command = path.read_text().replace(" \\\n       ", "")
    assert f"    python -m ablation -m arch=examples/{path.name}:" in command


@pytest.mark.parametrize(
    ("function", "plain", "count"),
    [
        ("resnet34", False, 22_674_570),
        ("resnet34", True, 21_123_594),
        ("resnet50", False, 23_555_082),
        ("resnet50", True, 20_774_666),
    ],
)
def test_the_course_s_networks_have_its_counts(function, plain, count):
    model = getattr(example("course_resnet"), function)((32, 32, 3), 10, plain=plain)
    assert trainable(model) == count
    assert any(isinstance(layer, keras.layers.Add) for layer in model.layers) != plain


POSITIONS = 8 * 8 * 64


@pytest.mark.parametrize(
    ("parts", "less"),
    [
        ({"position": "sincos"}, POSITIONS),
        ({"position": "none"}, POSITIONS),
        ({"heads": 8}, 0),
        ({"cls_token": False}, 64),
        ({"pre_norm": False}, 2 * 64),
    ],
)
def test_a_part_of_the_transformer_costs_only_its_own_parameters(parts, less):
    build = example("vit").build
    full, other = build((32, 32, 1), 10), build((32, 32, 1), 10, **parts)
    assert trainable(full) - trainable(other) == less
    assert other(np.zeros((2, 32, 32, 1), np.float32)).shape == (2, 10)


def test_the_transformer_sees_the_order_of_patches_only_by_their_positions():
    rng = np.random.default_rng(0)
    image = rng.random((1, 8, 8, 3), np.float32)
    turned = np.roll(image, 4, axis=2)  # By one patch of two: the two change places.

    def moved(position):
        model = example("vit").build((8, 8, 3), 10, position=position)
        before, after = model(np.concatenate([image, turned]))
        return float(np.abs(before - after).max())

    assert moved("none") < 1e-5
    assert moved("sincos") > 1e-2
    assert moved("learned") > 1e-3


def test_sine_and_cosine_positions_are_those_of_the_paper():
    table = example("vit").sincos(2, 3)
    assert table.shape == (6, 64)
    # Row 1, column 2 at the fastest of 16 rates, which is 1.
    expected = [math.sin(2), math.cos(2), math.sin(1), math.cos(1)]
    np.testing.assert_allclose(table[5, ::16], expected)


@pytest.mark.parametrize(
    ("shape", "parts", "message"),
    [((32, 32, 1), {"heads": 5}, "divide"), ((30, 32, 1), {}, "whole patches")],
)
def test_the_transformer_refuses_what_does_not_divide(shape, parts, message):
    with pytest.raises(ValueError, match=message):
        example("vit").build(shape, 10, **parts)


@pytest.mark.parametrize(
    ("parts", "less"),
    [({"residual": False}, 0), ({"norm": "layer"}, 0), ({"norm": "none"}, 8 * 2 * 256)],
)
def test_a_part_of_the_perceptron_costs_only_its_own_parameters(parts, less):
    build = example("mlp").build
    full, other = build((8, 8, 1), 10), build((8, 8, 1), 10, **parts)
    by_hand = 64 * 256 + 256 + 8 * (256 * 256 + 256 + 2 * 256) + 256 * 10 + 10
    assert trainable(full) == by_hand
    assert trainable(full) - trainable(other) == less
    assert other(np.zeros((2, 8, 8, 1), np.float32)).shape == (2, 10)


@pytest.mark.parametrize("parts", [{"dropout": 1.0}, {"dropout": -0.1}, {"norm": "group"}])
def test_the_perceptron_refuses_values_out_of_range(parts):
    with pytest.raises(ValueError, match="Received"):
        example("mlp").build((8, 8, 1), 10, **parts)


def torch_parameters(projections):
    """By hand: (channels in, width) of each block, biases and two of BN for every body filter."""
    blocks = [(64, 64), (256, 64), (256, 64), (256, 128), *3 * [(512, 128)], (512, 256)]
    blocks += [*5 * [(1024, 256)], (1024, 512), (2048, 512), (2048, 512)]
    body = sum(n * w + 9 * w * w + 4 * w * w + 3 * (w + w + 4 * w) for n, w in blocks)
    shortcuts = sum(n * 4 * w + 4 * w for n, w in blocks if projections(n, w))
    return 49 * 3 * 64 + 64 + body + shortcuts + 2048 * 10 + 10


def test_the_torch_network_has_its_source_s_parameters():
    pytest.importorskip("torch", reason="needs PyTorch")
    build = example("torch_resnet50").build

    def count(**parts):
        return sum(p.numel() for p in build((32, 32, 3), 10, **parts).parameters())

    every = torch_parameters(lambda channels, width: True)
    # Identity where a block changes neither width nor size: two of its stages' blocks are left
    # with a projection each, the first for its width, the last for its size.
    halving = 256 * 256 + 256 + 512 * 512 + 512 + 1024 * 1024 + 1024
    widening = torch_parameters(lambda channels, width: channels != 4 * width)
    assert count() == count(final_relu=True) == every
    assert count(shortcut="identity") == widening + halving


def test_the_torch_network_halves_the_image_in_the_last_block_of_three_stages():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    model = example("torch_resnet50").build((64, 64, 3), 10).eval()
    sizes, channels = [], []

    def note(module, inputs, output):
        sizes.append(output.shape[-1])
        channels.append(output.shape[1])
        assert output.min() < 0  # Nothing cuts the sum off.

    for module in model:
        if type(module).__name__ == "Bottleneck":
            module.register_forward_hook(note)
    with torch.no_grad():
        assert model(torch.rand(2, 3, 64, 64)).shape == (2, 10)
    assert sizes == [16, 16, 8, 8, 8, 8, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2]
    assert channels == [*3 * [256], *4 * [512], *6 * [1024], *3 * [2048]]


def test_the_torch_network_has_batch_normalisation_in_its_blocks_only():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    model = example("torch_resnet50").build((32, 32, 3), 10)
    norms = [name for name, module in model.named_modules() if "BatchNorm" in type(module).__name__]
    assert len(norms) == 16 * 3
    assert all(".body." in name for name in norms)
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 1 + 16 * 4
    assert all(convolution.bias is not None for convolution in convolutions)


def test_the_torch_network_can_have_the_paper_s_last_relu():
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    block = example("torch_resnet50").build((32, 32, 3), 10, final_relu=True)[3]
    with torch.no_grad():
        assert block(torch.randn(2, 64, 8, 8)).min() == 0


def test_the_torch_network_refuses_another_shortcut():
    pytest.importorskip("torch", reason="needs PyTorch")
    with pytest.raises(ValueError, match="projection or identity"):
        example("torch_resnet50").build((32, 32, 3), 10, shortcut="none")
