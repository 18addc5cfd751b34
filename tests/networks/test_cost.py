import gc

import keras
import pytest

from ablation.networks.build import build
from ablation.networks.cost import Cost, by_stage, count

# REFERENCE: B trainable, B total, C trainable, A and plain trainable, plain total,
# multiply-adds of B, multiply-adds of B with the stride on the 3x3 convolution ("v1.5").
# fmt: off
IMAGENET = {
    "18": (11_689_512, 11_699_112, 12_043_816, 11_515_688, 11_523_496,
           1_814_073_344, 1_814_073_344),
    "34": (21_797_672, 21_814_696, 22_716_840, 21_623_848, 21_639_080,
           3_663_761_408, 3_663_761_408),
    "50": (25_557_032, 25_610_152, 40_128_552, 22_780_456, 22_825_896,
           3_857_973_248, 4_089_184_256),
    "101": (44_549_160, 44_654_504, 76_981_288, 41_772_584, 41_870_248,
            7_570_194_432, 7_801_405_440),
    "152": (60_192_808, 60_344_232, 107_335_720, 57_416_232, 57_559_976,
            11_282_415_616, 11_513_626_624),
}
# A and plain trainable, A and plain total, B trainable (None: more of the same blocks, so that A
# alone is built), multiply-adds of A.
CIFAR = {
    "8": (75_290, 75_770, 78_042, 12_239_488),
    "14": (172_506, 173_434, 175_258, 26_395_264),
    "20": (269_722, 271_098, 272_474, 40_551_040),
    "32": (464_154, 466_426, None, 68_862_592),
    "44": (658_586, 661_754, None, 97_174_144),
    "56": (853_018, 857_082, 855_770, 125_485_696),
    "110": (1_727_962, 1_736_058, None, 252_887_680),
}
# fmt: on

A, B, C = {"shortcut": "zero_pad"}, {"shortcut": "projection"}, {"shortcut": "projection_all"}
PLAIN = {"plain": True}


def published():
    for arch, (b, b_total, c, a, a_total, adds, adds_v15) in IMAGENET.items():
        yield arch, B, b, b_total, adds
        if arch in ("101", "152"):  # More of the same blocks as in 50, and seconds to build.
            continue
        if adds != adds_v15:
            yield arch, B | {"stride_on": "3x3"}, b, b_total, adds_v15
        yield arch, C, c, None, None
        yield arch, A, a, a_total, None
        yield arch, PLAIN, a, a_total, None
    for arch, (a, a_total, b, adds) in CIFAR.items():
        yield arch, A, a, a_total, adds
        if not b:
            continue
        yield arch, PLAIN, a, a_total, adds
        yield arch, B, b, None, None


@pytest.fixture(autouse=True)
def cheap_builds(monkeypatch):
    # No count depends on the values of the weights, and drawing them takes half of the time in
    # which Keras builds a wide net; collecting garbage takes a third of that of a deep one.
    monkeypatch.setattr(
        "ablation.networks.layers.HeNormal", lambda seed: keras.initializers.Zeros()
    )
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def assert_stages_sum_to(cost, stages):
    assert sum(stage.parameters for stage in stages) == cost.trainable
    assert sum(stage.multiply_adds for stage in stages) == cost.multiply_adds


def name_case(value):
    return "-".join(map(str, value.values())) if isinstance(value, dict) else str(value)


@pytest.mark.parametrize(
    ("arch", "variant", "trainable", "total", "multiply_adds"), list(published()), ids=name_case
)
def test_counts_are_the_published_ones(arch, variant, trainable, total, multiply_adds):
    shape, classes = ((224, 224, 3), 1000) if arch in IMAGENET else ((32, 32, 3), 10)
    model = build(arch, shape, classes, **variant)
    cost = count(model)
    assert cost.trainable == trainable
    assert total in (cost.total, None)
    assert multiply_adds in (cost.multiply_adds, None)
    assert_stages_sum_to(cost, by_stage(model))


@pytest.mark.parametrize(
    ("arch", "shape", "classes", "trainable", "total", "multiply_adds"),
    [
        ("preact15", (28, 28, 1), 10, 576_282, 577_066, 19_726_720),
        ("vgg16", (224, 224, 3), 1000, 138_357_544, 138_357_544, 15_470_264_320),
        ("densenet121", (224, 224, 3), 1000, 7_978_856, 8_062_504, 2_834_161_664),
    ],
)
def test_counts_of_other_nets(arch, shape, classes, trainable, total, multiply_adds, monkeypatch):
    def zeros(_, shape, dtype=None):
        return keras.ops.zeros(shape, dtype)

    monkeypatch.setattr(keras.initializers.GlorotUniform, "__call__", zeros)
    model = build(arch, shape, classes)
    assert count(model) == Cost(trainable, total, multiply_adds)
    assert_stages_sum_to(count(model), by_stage(model))


def test_the_plain_small_net_lacks_its_three_projections_alone():
    residual, plain = (
        count(build("preact15", (28, 28, 1), 10, plain=plain)) for plain in (False, True)
    )
    projections = [(8 * 16, 16, 28), (16 * 32, 32, 14), (32 * 64, 64, 7)]
    assert residual.trainable - plain.trainable == sum(k + bias for k, bias, _ in projections)
    adds = sum(kernel * size**2 for kernel, _, size in projections)
    assert residual.multiply_adds - plain.multiply_adds == adds


def test_stages_of_the_small_net():
    stem, *stages, head = by_stage(build("preact15", (28, 28, 1), 10))
    assert stem.output == (28, 28, 8)
    assert [stage.output for stage in stages] == [(14, 14, 16), (7, 7, 32), (7, 7, 64)]
    assert {(stage.blocks, stage.identities, stage.projections) for stage in stages} == {(2, 1, 1)}
    assert head.name == "head" and head.output == (10,)


def test_parts_of_a_baseline_are_those_of_keras():
    *parts, head = by_stage(build("vgg16", (32, 32, 1), 10))
    assert [(part.name, part.output) for part in parts] == [
        ("block1", (16, 16, 64)),
        ("block2", (8, 8, 128)),
        ("block3", (4, 4, 256)),
        ("block4", (2, 2, 512)),
        ("block5", (1, 1, 512)),
    ]
    assert (head.name, head.output) == ("head", (10,))


@pytest.mark.parametrize(
    ("arch", "variant", "bias_free", "biased"),
    [
        ("34", {"shortcut": "projection"}, 21_289_802, None),
        ("34", {"shortcut": "projection3x3"}, None, 22_674_570),
        ("34", PLAIN, 21_115_978, 21_123_594),
        ("50", {"shortcut": "projection"}, 23_528_522, 23_555_082),
        ("50", PLAIN, 20_751_946, 20_774_666),
    ],
    ids=name_case,
)
def test_counts_are_the_course_notebooks_less_its_biases(arch, variant, bias_free, biased):
    model = build(arch, (32, 32, 3), 10, **variant)
    trainable = count(model).trainable
    biases = sum(x.filters for x in model.layers if isinstance(x, keras.layers.Conv2D))
    assert bias_free in (trainable, None)
    assert biased in (trainable + biases, None)


def test_count_by_hand():
    inputs = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(5, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(7)(x))
    kernel, norm, dense = 3 * 3 * 2 * 5, 2 * 5, 5 * 7 + 7
    assert count(model) == Cost(
        trainable=kernel + norm + dense,
        total=kernel + 2 * norm + dense,
        multiply_adds=4 * 4 * kernel + 5 * 7,
    )


@pytest.mark.parametrize("arch", ["20", "18"])
@pytest.mark.parametrize("variant", [A, C, PLAIN], ids=name_case)
def test_stages_of_preact_nets_sum_to_the_whole(arch, variant):
    model = build(arch, (32, 32, 3), 10, preact=True, **variant)
    assert_stages_sum_to(count(model), by_stage(model))


def test_stages_of_resnet_50_are_those_of_the_papers_table_1():
    stem, *stages, head = by_stage(build("50", (224, 224, 3), 1000))
    assert [stage.output for stage in stages] == [
        (56, 56, 256),
        (28, 28, 512),
        (14, 14, 1024),
        (7, 7, 2048),
    ]
    assert [stage.blocks for stage in stages] == [3, 4, 6, 3]
    # A bottleneck widens also where it does not halve the image.
    assert [stage.projections for stage in stages] == [1, 1, 1, 1]
    assert (stem.output, stem.blocks) == ((56, 56, 64), 0)
    assert stem.multiply_adds == 112 * 112 * 7 * 7 * 3 * 64
    assert (head.output, head.blocks) == ((1000,), 0)
    assert head.parameters == 2048 * 1000 + 1000


@pytest.mark.parametrize(
    ("variant", "identities", "projections", "zero_pads"),
    [
        (A, [2, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 1]),
        (B, [2, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]),
        (C, [0, 0, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]),
        (B | {"preact": True}, [2, 1, 1, 1], [0, 1, 1, 1], [0, 0, 0, 0]),
        (PLAIN, [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]),
    ],
    ids=name_case,
)
def test_stages_of_resnet_18_tell_their_shortcuts(variant, identities, projections, zero_pads):
    _, *stages, _ = by_stage(build("18", (32, 32, 3), 10, **variant))
    assert [stage.identities for stage in stages] == identities
    assert [stage.projections for stage in stages] == projections
    assert [stage.zero_pads for stage in stages] == zero_pads
