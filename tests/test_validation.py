import math
from dataclasses import asdict

import pytest
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from ablation.config import CONF_DIR, ReportConfig, UserError
from ablation.factors import check_reference, find_level
from ablation.validation import check_report, explain, validated


def _stem(path):
    return path.stem


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["arch=35"], ["arch=35", "34", "1202"]),
        (["shortcut=skip"], ["shortcut=skip", "zero_pad"]),
        (["epochs=0"], ["epochs=0", "1 or more"]),
        (["seed=-1"], ["seed=-1"]),
        (["study=../other"], ["study", "letters"]),
        (["backend=theano"], ["backend=theano", "tensorflow", "jax", "torch"]),
        (["precision=float8"], ["precision=float8", "mixed_bfloat16"]),
        (["dataset.image_size=31"], ["image_size=31", "arch=34", "32 or more"]),
        (["arch=20", "dataset.image_size=3"], ["image_size=3", "arch=20", "4 or more"]),
        (["arch=vgg16", "dataset.image_size=28"], ["image_size=28", "arch=vgg16", "32 or more"]),
        (["arch=preact15", "dataset.image_size=3"], ["image_size=3", "preact15", "4 or more"]),
        (["arch=vgg16", "plain=true"], ["plain is no part", "arch=vgg16", "Parts: none"]),
        (["arch=densenet121", "preact=true"], ["preact is no part", "arch=densenet121"]),
        (["arch=34", "parts.norm=bach"], ["parts.norm=bach", "arch=34", "batch, group"]),
        (["arch=preact15", "shortcut=zero_pad"], ["shortcut is no part", "Parts: plain"]),
        (["keep_checkpoints=-1"], ["keep_checkpoints=-1", "0 or more"]),
        (["hang_after=-1"], ["hang_after=-1", "0 or more"]),
        (["dataset.image_size=[64,16]"], ["image_size=[64,16]", "arch=34", "32 or more"]),
        (["dataset.image_size=0"], ["image_size=0", "height and width such as [96,160]"]),
        (["dataset.image_size=[32,-1]"], ["image_size=[32, -1]", "is no size"]),
        (["dataset.image_size=[32]"], ["image_size=[32]", "is no size"]),
        (["dataset.image_size=32.0"], ["image_size=32.0", "is no size"]),
        (["dataset.image_size=true"], ["image_size=True", "is no size"]),
        (["dataset.image_size=big"], ["image_size=big", "is no size"]),
        (["dataset.resize=zoom"], ["resize=zoom", "stretch, crop, pad"]),
        (["dataset=folder", "dataset.group=x"], ["dataset.group=x is for", "takes dataset.path"]),
        (["dataset.train_split=a"], ["dataset.train_split=a is for", "takes no options"]),
        (["dataset=arrays", "dataset.val_fraction=2"], ["val_fraction=2", "less than 1"]),
        (["dataset.source=web"], ["dataset.source=web", "digits", "table"]),
        (["dataset.augment=blur"], ["dataset.augment=blur", "crop_flip"]),
        (["dataset.normalisation=x"], ["dataset.normalisation=x", "pixel_mean"]),
        (["recipe.learning_rate=-0.1"], ["recipe.learning_rate=-0.1", "positive"]),
        (["recipe.learning_rate=nan"], ["recipe.learning_rate=nan", "positive"]),
        (["recipe.batch_size=0"], ["recipe.batch_size=0"]),
        (["recipe.momentum=1"], ["recipe.momentum=1"]),
        (["recipe.clipnorm=0"], ["recipe.clipnorm=0"]),
        (["recipe.clipnorm=1", "recipe.clipvalue=1"], ["clipnorm and recipe.clipvalue exclude"]),
        (["recipe.clipvalue=-1"], ["recipe.clipvalue=-1", "positive"]),
        (["recipe.global_clipnorm=nan"], ["recipe.global_clipnorm=nan", "positive"]),
        (["recipe.optimizer=adamm"], ["recipe.optimizer=adamm", "adamw", "lion", "sgd"]),
        (["recipe.optimizer=optimizer"], ["recipe.optimizer=optimizer", "Allowed"]),
        (["recipe.optimizer=SGD"], ["recipe.optimizer=SGD", "sgd"]),
        (["recipe.options.beta1=0.9"], ["unknown key recipe.options.beta1", "of sgd: nesterov"]),
        (["recipe.options.nestrov=true"], ["Did you mean recipe.options.nesterov?"]),
        (["experiment=mnist_baseline"], ["Did you mean experiment=mnist_baselines? Allowed: "]),
        (["dataset=CIFR10"], ["Did you mean dataset=cifar10?", "dataset.name=CIFR10"]),
        (["backend=tensorflw"], ["Did you mean backend=tensorflow? Allowed: "]),
        (["arch=vgg61"], ["Did you mean arch=vgg16? Allowed: "]),
        (["recipe=adam", "recipe.options.beta_1=1"], ["recipe.options.beta_1=1", "below 1"]),
        (["recipe=adam", "recipe.options.beta_1=x"], ["beta_1=x must be a number, such as 0.9"]),
        (["recipe=adam", "recipe.options.beta_1=null"], ["beta_1=null must be a number"]),
        (["recipe=adam", "recipe.options.beta_1=true"], ["beta_1=true must be a number"]),
        (["recipe=adam", "recipe.options.beta_1=[0.9]"], ["beta_1=[0.9] must be a number"]),
        (["recipe=adam", "recipe.options.epsilon=0"], ["epsilon=0 must be a positive number"]),
        (["recipe=adam", "recipe.options.amsgrad=3"], ["amsgrad=3 must be true or false"]),
        (["recipe.optimizer=muon", "recipe.options.ns_steps=2.5"], ["must be a whole number"]),
        (["recipe=adam", "recipe.options.relative_step=true"], ["unknown key recipe.options.rel"]),
        (["recipe.options.weight_decay=1"], ["unknown key recipe.options.weight_decay"]),
        (["recipe.schedule=cyclic"], ["recipe.schedule=cyclic", "one_cycle", "linear"]),
        (["recipe=adam", "recipe.schedule=one_cycle"], ["recipe.warmup_fraction, such as 0.3"]),
        (["recipe.ema=1"], ["recipe.ema=1", "below 1"]),
        (["recipe.label_smoothing=1"], ["recipe.label_smoothing=1", "below 1"]),
        (["recipe.label_smoothing=-0.1"], ["recipe.label_smoothing=-0.1", "0 or more"]),
        (["recipe.mixup=-1"], ["recipe.mixup=-1", "0 or more"]),
        (["recipe.cutmix=inf"], ["recipe.cutmix=inf", "finite"]),
        (["recipe.random_erasing=1.1"], ["recipe.random_erasing=1.1", "from 0 to 1"]),
        (["recipe.trivial_augment=maybe"], ["trivial_augment", "maybe"]),
        (["recipe.class_weights=equal"], ["recipe.class_weights=equal", "balanced"]),
        (["recipe.loss=mae"], ["recipe.loss=mae", "cross_entropy", "my_loss.py:f"]),
        (["recipe.loss=nowhere.py:f"], ["no file", "nowhere.py"]),
        (["recipe.loss=nowhere.py"], ["recipe.loss=nowhere.py names no function"]),
        (["dataset.augment=nowhere.py:f"], ["no file", "nowhere.py"]),
        (["dataset.augment=nowhere:f"], ["no module 'nowhere'"]),
        (["dataset.augment=a.py:f,b.py:f"], ["dataset.augment=a.py:f,b.py:f", "-m"]),
        (["recipe.schedule=step"], ["recipe.milestones"]),
        (["recipe.milestones=[0.75,0.5]"], ["ascending"]),
        (["recipe=he2015_cifar", "recipe.warmup_fraction=0.6"], ["warmup_fraction=0.6", "[0.5"]),
        (["seed=4294967296"], ["seed=4294967296", "below 4294967296"]),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_allowed(config, overrides, words):
    with pytest.raises((UserError, OmegaConfBaseException, HydraException)) as error:
        validated(asdict(config(*overrides)))
    told = explain(error.value)
    assert all(word in told for word in words), told


def test_a_value_of_another_type_is_told_what_the_key_takes(config):
    for word, takes in (
        ("epochs=x", "epochs takes a whole number."),
        ("seed=1-3", "takes a whole number. To sweep several: -m seed=1,2,3."),
        ("seed=0..30", "takes a whole number. To sweep several: -m 'seed=range(0,31)'."),
        ("recipe.milestones=0.5", "takes numbers in brackets, such as [0.5,0.75]."),
        ("dataset.label_columns=a", "takes names in brackets, such as [haze,road], or null."),
        ("recipe.milestones=[a]", "takes numbers in brackets, such as [0.5,0.75]."),
        ("recipe.options.nesterov=true)", "an option is true, false or a number."),
        ("control=sham", "control takes sham, capacity, lesion."),
        ("design.reference=plain", "nothing by itself: type design.reference.KEY=LEVEL."),
        ("design.reference=[plain=true]", "nothing by itself: type design.reference.KEY=LEVEL."),
        ("hydra.job.num=x", "hydra.job.num takes a whole number."),
    ):
        with pytest.raises(HydraException) as error:
            config(word)
        assert explain(error.value).startswith(f"{word} cannot be read; ")
        assert explain(error.value).endswith(takes)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("report=3", "report is a group of keys, each with a value of its own: report.metric, "),
        ("parts=plain", "parts is a group of keys, each with a value of its own: parts.plain, "),
        ("recipe.options=null", "recipe.options.NAME."),
        ("recipe.options=3)", "recipe.options.NAME."),
        ("hydra.run=3", "hydra.run is a group of keys, each with a value of its own: hydra.run.d"),
        ("hydra.mode=x", "hydra.mode=x cannot be read: Invalid value 'x', expected one of [RUN"),
        ("hydra.run.x=0", "unknown key hydra.run.x. Keys of hydra.run: hydra.run.dir."),
        ("hydra.job.nam=x", "Did you mean hydra.job.name?"),
        ("hydra.launcher.x=0", "none, as hydra/launcher=NAME decides, such as hydra/launcher=job"),
        ("hydra.launcher.n_jobs=2", "type hydra/launcher=joblib hydra.launcher.n_jobs=VALUE."),
        ("hydra/launcher=nope", "hydra/launcher=nope is not known. Allowed: basic, joblib"),
        ("hydra/laucher=joblib", "unknown key hydra/laucher. Did you mean hydra/launcher?"),
        ("recipe/learning_rate=1", "key recipe/learning_rate. Did you mean recipe.learning_rate?"),
        ("foo.bar=1", "Keys: design.KEY, tune.KEY, control, arch, dataset.KEY"),
    ],
)
def test_where_no_value_is_right_the_line_says_which_keys_there_are(config, word, said):
    with pytest.raises(HydraException) as error:
        config(word)
    assert said in explain(error.value) and len(explain(error.value)) < 400


def test_a_configuration_that_is_not_there_has_no_empty_list_of_others():
    said = "Cannot find primary config 'nope'. Check that it's in your config search path."
    assert explain(MissingConfigException(said, "nope", [])) == said


@pytest.mark.parametrize("margin", [0, -1, math.inf, math.nan])
def test_a_margin_is_a_finite_number_above_0(margin):
    with pytest.raises(UserError, match=f"report.margin={margin} must be a positive number"):
        check_report(ReportConfig(margin=margin))


@pytest.mark.parametrize("dataset", sorted((CONF_DIR / "dataset").glob("*.yaml")), ids=_stem)
@pytest.mark.parametrize("recipe", sorted((CONF_DIR / "recipe").glob("*.yaml")), ids=_stem)
def test_every_data_set_and_recipe_is_valid(config, dataset, recipe):
    name = ["dataset.name=my_data.py:load"] if dataset.stem in ("tfds", "function") else []
    validated(asdict(config(f"dataset={dataset.stem}", f"recipe={recipe.stem}", *name)))


@pytest.mark.parametrize("asked", ["Pets", "pets", "1.1", "1.10", "1e3", "1000"])
def test_a_level_that_is_there_as_it_was_typed_is_meant(asked):
    assert find_level(asked, ["PETS", "Pets", "pets", "1.1", "1.10", "1000", "1e3"]) == asked


def test_where_images_lie_may_be_the_reference(config):
    configs = [
        (asdict(config("dataset=folder", f"dataset.path={name}")), {})
        for name in ("clean", "noisy")
    ]
    check_reference("noisy", "dataset.path", configs)
    with pytest.raises(UserError, match="Allowed: clean, noisy"):
        check_reference("dirty", "dataset.path", configs)


def test_a_level_is_a_reference_as_the_report_shows_it(config):
    """Even where the optimizer does not read the key, so that the identity leaves it out."""
    configs = [(asdict(config("recipe=adam", "recipe.momentum=0.5")), {})]
    check_reference("0.5", "recipe.momentum", configs)


@pytest.mark.parametrize("key", ["runs_dir", "cache_dir"])
@pytest.mark.parametrize(
    ("images", "place"),
    [(".", "runs"), ("pets", "pets/out/runs"), ("pets", "pets"), ("link", "pets/x"), ("..", "x")],
)
def test_nothing_is_written_among_the_images(key, images, place, config, tmp_path, monkeypatch):
    (tmp_path / "pets").mkdir()
    (tmp_path / "link").symlink_to("pets")
    monkeypatch.chdir(tmp_path)
    paths = {"runs_dir": "../runs", "cache_dir": "../cache"} | {key: place}
    if images == "..":
        paths = {"runs_dir": "/elsewhere", "cache_dir": "/elsewhere"} | {key: place}
    folder = ["dataset=folder", f"dataset.path={images}", "dataset.image_size=64"]
    written = [f"{name}={path}" for name, path in paths.items()]
    with pytest.raises(UserError, match=f"{key}={place} lies inside dataset.path={images}"):
        validated(asdict(config(*folder, *written)))


@pytest.mark.parametrize("place", [".cache", "pets/.hidden/runs", "pets2", "pets.runs", "../pets"])
def test_what_is_hidden_or_beside_the_images_may_be_written(place, config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = ["dataset=folder", "dataset.path=pets", "dataset.image_size=64"]
    validated(asdict(config(*folder, f"runs_dir={place}", f"cache_dir={place}")))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("recipe/mine", "name: mine\nlr: 3\n", "recipe.lr; type recipe.learning_rate=VALUE"),
        ("recipe/mine", "name: mine\nlearning_rate: fast\n", "learning_rate takes a number"),
        ("experiment/mine", "# @package _global_\nepoch: 3\n", "epoch; type epochs=VALUE"),
        ("experiment/mine", "# mine\n# @package _global_\n", "begins with the line"),
        ("experiment/mine", "# @package _global_\na: b\n\tc: 3\n", "line 3: no YAML"),
        ("experiment/mine", "# @package _global_\narch: [20, 56]\n", "hydra.sweeper.params"),
    ],
)
def test_a_mistake_in_a_file_of_ones_own_is_told_with_its_place(cli, tmp_path, file, content, said):
    path = tmp_path / "conf" / f"{file}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    done = cli("--config-dir", "conf", file.replace("/", "="), "plan=true", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line and f"{file}.yaml" in line


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("learning_rate=1", "type recipe.learning_rate=VALUE"),
        ("lr=1", "type recipe.learning_rate=VALUE"),
        ("model=34", "type arch=VALUE"),
        ("learning_rte=1", "Did you mean recipe.learning_rate?"),
        ("dataset=cifar100", "dataset=tfds dataset.name=cifar100"),
        ("recipe=adamw", "recipe.optimizer=adamw"),
        ("recipe=nothing", "Allowed: adam,"),
        ("parts.dropout=1.5", "a number of 0 or more and below 1"),
    ],
)
def test_a_near_miss_is_told_with_what_is_meant(cli, tmp_path, word, said):
    done = cli(word, "plan=true", cwd=tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())


def test_an_argument_by_position_is_told_from_a_part(cli, tmp_path):
    (tmp_path / "net.py").write_text("def build(input_shape, classes, se=True):\n    ...\n")
    done = cli("arch=net.py:build", "parts.se=false", "plan=true", cwd=tmp_path)
    assert "Parts stand behind a star: def build(..., *, se=...)" in done.stderr


@pytest.mark.parametrize(
    ("name", "package"),
    [("joblib", "hydra-joblib-launcher"), ("submitit_slurm", "hydra-submitit-launcher")],
)
def test_a_launcher_that_is_not_installed_says_how_to_get_it(name, package):
    error = MissingConfigException("not found", f"hydra/launcher/{name}", ["basic"])
    said = f"hydra/launcher={name} is not installed: pip install {package}."
    assert explain(error) == said


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("recipe/mine", "the file that recipe=NAME chooses has no line name:"),
        ("dataset/mine", "the file that dataset=NAME chooses has no line source:"),
    ],
)
def test_what_a_file_of_ones_own_lacks_is_told_of_the_file(cli, tmp_path, file, said):
    path = tmp_path / "conf" / f"{file}.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("name: mine\n" if file.startswith("dataset") else "learning_rate: 0.1\n")
    done = cli("--config-dir", "conf", file.replace("/", "="), "plan=true", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
