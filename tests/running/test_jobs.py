"""What is planned is what Hydra composes."""

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from ablation import keys
from ablation.config import CONF_DIR, to_plain
from ablation.running import jobs
from ablation.validation import explain


@pytest.fixture
def hydra():
    keys.admit(())
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield


def _split(arguments):
    loader = GlobalHydra.instance().config_loader()
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(arguments)
    (split,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    return split


def _outcome(work):
    """What came out, types included, or how the error is told."""
    try:
        return repr(work())
    except Exception as error:
        return type(error), str(error), explain(error)


def _by_hydra(split):
    return [to_plain(compose("config", overrides=list(job))) for job in split]


SWEEPS = [
    ["arch=20,56", "parts.plain=true,false", "seed=range(3)"],
    ["dataset=cifar10,mnist", "recipe=he2015_cifar,adam", "seed=0,1", "arch=20"],
    ["recipe=glob(*)", "recipe.learning_rate=1e-3,5"],
    ["arch=choice(34,50)", "recipe.learning_rate=range(0.1,0.4,0.1)"],
    ["experiment=cifar10_10k,cifar10_course", "arch=34,50"],
    ["dataset=tfds", "dataset.name=fashion_mnist,kmnist"],
    ["dataset=cifar10", "dataset.train_split='train[:10]',\"train[:20]\""],
    ["recipe.milestones=[1],[0.25,0.5],[]", "recipe.clipnorm=null,1"],
    ["arch='34',\"50\"", "study=\"a b\",'a,b'"],
    ["precision=float32,mixed_bfloat16", "deterministic=True,off"],
    ["dataset=folder", "dataset.path=a/b,'c \\'d\\''"],
]
LEFT_TO_HYDRA = [
    ["recipe.warmup_learning_rate='${recipe.learning_rate}'", "recipe.learning_rate=0.1,0.2"],
    ["recipe.learning_rate=0.1,0.2", "recipe={learning_rate:0.3}"],
    ["++seed=1,2"],
    ["seed=1,2", "+foo=1"],
    ["~seed", "arch=34,50"],
]
ERRORS = [
    ["arch=34,50", "archh=3"],
    ["epochs=5,x"],
    ["seed=1,null"],
    ["recipe.learning_rate=1,???"],
    ["recipe.milestones=[0.5],[a]"],
    ["recipe.milestones.0=1,2"],
    ["dataset=digits,cifar"],
    ["recipe=sgd,5"],
    ["report=null,3"],
]


@pytest.mark.parametrize("arguments", [*SWEEPS, *LEFT_TO_HYDRA, *ERRORS], ids=" ".join)
def test_the_same_configurations_and_errors_as_hydras(hydra, arguments):
    split = _split(arguments)
    assert len(split) > 1
    expected = _outcome(lambda: _by_hydra(split))
    assert isinstance(expected, str) == (arguments not in ERRORS)
    assert _outcome(lambda: jobs.configurations("config", split)) == expected


def test_an_interpolation_in_the_configuration_itself_is_resolved_for_each_job(tmp_path):
    (tmp_path / "config.yaml").write_text("one: 1\ntwo: ${one}\nhydra: {}\n")
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        found = jobs.configurations("config", [["one=1"], ["one=2"]])
    assert found == [{"one": 1, "two": 1}, {"one": 2, "two": 2}]


def test_hydra_composes_once_for_each_combination_of_choices(hydra, monkeypatch):
    composed = []
    monkeypatch.setattr(jobs, "compose", lambda *a, **k: composed.append(a) or compose(*a, **k))
    split = _split(
        ["dataset=digits,mnist", "recipe=sgd,adam", "seed=range(50)", "parts.plain=true,false"]
    )
    assert len(jobs.configurations("config", split)) == 400
    assert len(composed) == 4


def test_no_configuration_shares_its_parts_with_another(hydra):
    one, other = jobs.configurations("config", [["seed=1"], ["seed=2"]])
    one["recipe"]["milestones"].append(0.5)
    assert other["recipe"]["milestones"] == []


def test_a_key_of_one_job_is_in_no_other(hydra):
    words = [("arch=20", "seed=0", "keep_checkpoints=5"), ("arch=20", "seed=1"), ("seed=2",)]
    found = jobs.configurations("config", words)
    assert [one["keep_checkpoints"] for one in found] == [5, 0, 0]
    assert [(one["arch"], one["seed"]) for one in found] == [("20", 0), ("20", 1), ("34", 2)]
