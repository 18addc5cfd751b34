"""What a user types, and what the keys become."""

import shlex
from dataclasses import asdict

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf.errors import OmegaConfBaseException

from ablation import command, keys
from ablation.config import CONF_DIR, Config, UserError, flatten, to_plain
from ablation.records import durable, store
from ablation.running import jobs

TEXTS = [
    "1.10",
    "2024_05_01",
    "1e3",
    "true",
    "0x10",
    "007",
    "inf",
    "Null",
    "~/photos",
    "my photos",
    " a ",
    "a=b",
    "#1 (new) it's;[x]{y},z:$HOME@*%",
    'say "no"',
    "'tis",
    "C:\\new\\",
    "${plain}",
    "\\${plain}",
    "$$",
    "choice(a,b)",
    "[a,b]",
    "a,b",
    "ähm/写真/😀/👨‍👩‍👧",
    "e\u0301",
    "???x",
    "-x",
    "not UTF-8 \udcff",
]


@pytest.fixture
def hydra():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield


def _refused(words, read=command.arranged):
    with pytest.raises(UserError) as error:
        read(words)
    message = str(error.value)
    assert len(message.splitlines()) == 1
    return message


def _swept(*words):
    """The configuration of each job, as planned; it must be what Hydra's workers make of it."""
    options, *rest = command.arranged(["-m", *words])
    assert options == "-m"
    loader = GlobalHydra.instance().config_loader()
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(rest)
    (split,) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    planned = jobs.configurations("config", split)
    assert planned == [to_plain(compose("config", overrides=list(job))) for job in split]
    return planned


def test_the_keys_that_take_text_are_those_of_the_schema():
    keys.admit(["vgg16"])  # A network without parts.
    texts = {key for key, value in flatten(asdict(Config())).items() if isinstance(value, str)}
    # Of some sources alone.
    texts |= {"dataset.path_column", "dataset.split_column", "dataset.unit"}
    unset = {"train_split", "val_split", "data_dir", "path"}
    unset |= {"group", "image_column", "label_column", "revision", "subset"}
    unset |= {"files", "input_column", "label_separator"}
    unset |= {"kind", "target", "vocabulary"}
    nullable = {f"dataset.{key}" for key in unset} | {
        f"report.{key}" for key in ("contrast", "design", "metric", "reference")
    }
    nullable |= {"claims", "recipe.loss"}
    numbers = {"recipe.learning_rate", "recipe.batch_size"}
    assert keys.text_keys().keys() == (texts - numbers) | nullable
    assert {key for key, is_nullable in keys.text_keys().items() if is_nullable} == nullable


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_what_was_typed_here_in_a_worker_and_in_the_record(hydra, tmp_path, text):
    keys = ("study", "dataset.path", "dataset.name", "recipe.name", "runs_dir", "cache_dir")
    words = command.arranged([f"{key}={text}" for key in keys])
    config = to_plain(compose("config", overrides=words))
    assert {flatten(config)[key] for key in keys} == {text}
    # A launcher's worker reads the words once more, as the sweeper wrote them.
    parsed = OverridesParser.create().parse_overrides(words)
    ((again,),) = BasicSweeper.split_arguments(parsed, max_batch_size=None)
    assert to_plain(compose("config", overrides=list(again))) == config
    durable.write_yaml(tmp_path / "config.yaml", config)
    assert store.read_yaml((tmp_path / "config.yaml").read_text()) == config


def test_the_whole_plan_of_a_sweep_keeps_text_as_it_was_typed(hydra):
    words = ["-m", "dataset.path=${plain},1.10,x/$y", "study=2024_05_01", "runs_dir='a,b'"]
    loader = GlobalHydra.instance().config_loader()
    config = loader.load_configuration("config", command.arranged(words)[1:], RunMode.MULTIRUN)
    expansion = jobs.expand(config)
    found = [job.config for job in expansion.jobs]
    assert [one["dataset"]["path"] for one in found] == ["${plain}", "1.10", "x/$y"]
    assert {one["study"] for one in found} == {"2024_05_01"}
    assert {one["runs_dir"] for one in found} == {"a,b"}
    assert expansion.swept == ["dataset.path"]


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ("arch=34,1e3,0x10", ["34", "1e3", "0x10"]),
        ("arch=34, 1.10 ,true", ["34", "1.10", "true"]),
        ("arch=choice(34,1e3)", ["34", "1e3"]),
        ("arch=range(20,57,12)", ["20", "32", "44", "56"]),
        ("arch=sort(56,20,110)", ["20", "56", "110"]),
        ("arch=sort(1.10,b,a,reverse=true)", ["b", "a", "1.10"]),
        ("arch='a,b',\"c d\",it's", ["a,b", "c d", "it's"]),
        ("arch=a(b),[c],{d}", ["a(b)", "[c]", "{d}"]),
        ("++arch=1.10,2", ["1.10", "2"]),
    ],
)
def test_after_m_each_element_is_what_was_typed(hydra, word, values):
    assert [one["arch"] for one in _swept(word)] == values


def test_shuffle_glob_and_an_experiment_sweep_as_in_hydra(hydra):
    assert {one["arch"] for one in _swept("arch=shuffle(1.10,2)")} == {"1.10", "2"}
    assert len(_swept("recipe=glob(*)")) == len(list((CONF_DIR / "recipe").glob("*.yaml")))
    assert command.arranged(["experiment=shortcuts", "arch=1,2"])[1] == "arch='1','2'"


def test_an_experiment_of_one_run_is_no_sweep(hydra, tmp_path):
    assert command.arranged(["experiment=cifar10_resnet50_adam", "arch=1,2"])[1] == "arch='1,2'"
    with pytest.raises(UserError, match="put -m before the keys"):
        command.arranged(["experiment=cifar10_resnet50_adam", "seed=until(20)"])
    (tmp_path / "experiment").mkdir()
    made = "# @package _global_\ndefaults:\n  - shortcuts\n  - mine\n  - _self_\nepochs: 3\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(made)
    words = ["--config-dir", str(tmp_path), "experiment=mine", "arch=1,2"]
    assert "arch='1','2'" in command.arranged(words)
    (tmp_path / "experiment" / "latin.yaml").write_bytes(b"# @package _global_\n# \xe9\n")
    with pytest.raises(UserError, match=r"latin\.yaml is no text in UTF-8"):
        command.arranged(["--config-dir", str(tmp_path), "experiment=latin"])


def test_null_leaves_unset_what_may_be_unset_and_is_text_elsewhere(hydra):
    config = to_plain(compose("config", overrides=command.arranged(["dataset.path=null"])))
    assert config["dataset"]["path"] is None
    assert (
        to_plain(compose("config", overrides=command.arranged(["study=null"])))["study"] == "null"
    )
    assert [one["dataset"]["path"] for one in _swept("dataset.path=null,'null'")] == [None, "null"]


@pytest.mark.parametrize(
    ("key", "typed"),
    [
        ("dataset.path", "a[1,2]"),
        ("dataset.train_split", "train[:9,9:]"),
        ("dataset.path", "it's (a,b) ${x}"),
        ("dataset.data_dir", "a,"),
        ("dataset.path", "here,too"),
    ],
)
def test_where_quotes_are_needed_the_message_has_them_ready_to_paste(
    hydra, tmp_path, monkeypatch, key, typed
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here,too").mkdir()
    message = _refused(["-m", f"{key}={typed}"])
    begin = message.index("For one, type ") + len("For one, type ")
    (pasted,) = shlex.split(message[begin:].split("; for several")[0].removesuffix("."))
    (config,) = _swept(pasted)
    assert flatten(config)[key] == typed


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["--arch=20"], "arch=20"),
        (["-arch=20"], "arch=20"),
        (["--arch", "20"], "arch=20"),
        (["-plain"], "plain=true"),
        (["--dataset.path=~/x"], "'dataset.path=~/x'"),
        (["arch", "=", "20"], "arch=20"),
        (["arch=", "20"], "arch=20"),
        (["arch", "=20"], "arch=20"),
        (["arch=20,", "32"], "arch=20,32"),
        (["seed=1", ",2", "plain=true"], "seed=1,2"),
        (["plain", "=", "true,", "false"], "plain=true,false"),
        (["recipe.milestones=[0.5,", "0.75]"], "'recipe.milestones=[0.5,0.75]'"),
        (["report.contrast", "=", "arch"], "report.contrast=arch"),
        (["arch:", "20"], "arch=20"),
        (["epochs:5"], "epochs=5"),
        (["arch", "20"], "arch=20"),
        (["dataset", "cifar10"], "dataset=cifar10"),
        (["arch="], "arch=34"),
        (["recipe.clipnorm="], "recipe.clipnorm=null"),
        (["plain"], "plain=true"),
        (["dataset.path=my", "photos"], "'dataset.path=my photos'"),
        (["epochs=5", "6"], "epochs=5,6"),
        (["epochs=1", "/recipe=sgd"], "--help lists the keys"),
        (["epochs=1", "="], "--help lists the keys"),
        (["epochs=1", "+"], "--help lists the keys"),
        (["epochs=1", "=3"], "--help lists the keys"),
        (["epochs=1", "extra"], "--help lists the keys"),
        (["plan=true", "extra"], "--help lists the keys"),
        (["plan", "true", "extra"], "plan=true"),
        (["study=my", "set"], "'study=my set'"),
        (["design=grid", "both"], "design=grid"),
        (["control=sham", "lesion"], "control=sham,lesion"),
        (["tune.recipe.momentum=0,0.9", "preact="], "preact=true"),
        (["tune.recipe.momentum=0,0.9", "preact"], "preact=true"),
        (["tune.recipe.momentum=0", "0.9"], "tune.recipe.momentum=0,0.9"),
        (["tune.recipe.momentum=", "0,", "0.9"], "tune.recipe.momentum=0,0.9"),
        (["tune.recipe.momentum", "0,0.9"], "tune.recipe.momentum=0,0.9"),
        (["tune.recipe.momentum"], "tune.recipe.momentum=VALUE,VALUE"),
        (["tune.share=0.1", "0.2"], "--help lists the keys"),
        (["tune.recipe.momentum=0,0.9", "extra"], "--help lists the keys"),
        (["control="], "control=sham"),
        (["design.reference="], "design.reference.KEY=LEVEL"),
        (["+seed=1"], "seed=1"),
        (["+recipe=sgd"], "recipe=sgd"),
        (["++recipe=sgd"], "recipe=sgd"),
        (["recipe@foo=sgd"], "recipe=sgd"),
        (["+tune.recipe.momentum=0,0.9"], "tune.recipe.momentum=0,0.9"),
        (["+design.reference.plain=true"], "design.reference.plain=true"),
        (["~recipe"], "leave out ~recipe"),
        (["~dataset.group"], "leave out ~dataset.group"),
        (["~preact"], "leave out ~preact"),
        (["report", "runs/main"], "python -m ablation.report runs/main"),
        (["export", "a", "--wandb"], "python -m ablation.export a --wandb"),
        (["-m", "recipe.optimizer=choice()"], "recipe.optimizer=VALUE,VALUE"),
        (["arch＝20"], "arch=20"),
        (["\u2013m", "arch=20"], "-m"),
    ],
)
def test_a_word_that_is_no_key_and_value_is_answered_with_the_one_that_is(words, right):
    message = _refused(words)
    assert all(word in message for word in words[1:] if "--help" in right)
    assert message.endswith((f" {right}.", f" -m {right}.")) or f" {right}, or " in message, message


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--bogus"], "unknown option --bogus"),
        (["-x", "arch=20"], "unknown option -x"),
        (["--cfg", "banana"], "job or all or hydra"),
        (["--cfg"], "--cfg needs a value"),
        (["--run", "-m"], "exclude each other"),
        (["--resolve"], "--cfg job --resolve"),
        (["archh", "=", "20"], "Did you mean arch?"),
        (["photos"], "photos is not written as key=value"),
        (["20"], "20 is not written as key=value"),
        (["dataset="], "dataset= is no choice"),
        (["experiment=null"], "experiment=null is no choice"),
        (["hydra=null"], "hydra=null is no choice"),
        (["study=???"], "study=???"),
        (["plain=???"], "plain=??? cannot be given"),
        (["-m", "parts.norm=batch,'???'"], "stands for a value that is missing"),
        (["~parts"], "parts cannot be taken away"),
        (["~plain=true"], "plain cannot be taken away"),
        (["~control"], "control cannot be taken away"),
        (["~tuning"], "tuning cannot be taken away"),
        (["tuning=0.5"], "tuning is not set by hand"),
        (["++tuning=0.5"], "tuning is not set by hand"),
        (["+draw=1"], "draw is not set by hand"),
        (["-sc"], "-sc takes one of install=SHELL"),
        (["-sc", "install=csh"], "SHELL is bash, fish or zsh"),
    ],
)
def test_what_no_command_can_mean_is_one_line(words, named):
    message = _refused(words)
    assert all(word in message for word in named.split(" or ")), message


def test_what_chooses_a_file_of_hydras_own_is_text():
    assert command.arranged(["hydra=3", "hydra/launcher=3"]) == ["hydra='3'", "hydra/launcher='3'"]
    assert command.arranged(["-sc", "install=bash"]) == ["-sc", "install=bash"]


@pytest.mark.parametrize("key", ["epochs", "seed", "recipe.learning_rate"])
def test_what_a_variable_stands_for_has_the_type_of_its_key(hydra, monkeypatch, key):
    word = f"{key}=${{oc.env:TYPED}}"
    monkeypatch.setenv("TYPED", "7")
    assert flatten(to_plain(compose("config", overrides=[word])))[key] == 7
    monkeypatch.setenv("TYPED", "seven")
    with pytest.raises(OmegaConfBaseException, match="could not be converted"):
        to_plain(compose("config", overrides=[word]))


def test_options_may_stand_anywhere_and_the_keys_keep_their_order():
    words = ["seed=1", "--cfg", "job", "plain=true", "--resolve", "--info=all"]
    with pytest.raises(UserError, match="exclude"):
        command.arranged(words)
    assert command.arranged(words[:-1]) == [
        "--cfg",
        "job",
        "--resolve",
        "seed=1",
        "parts.plain=true",
    ]
    assert command.arranged(["--info", "seed=1"]) == ["--info", "all", "seed=1"]


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("epochs=5\r", ["CARRIAGE RETURN (U+000D)", "at its end", "type epochs=5."]),
        ("study=a\t", ["TAB (U+0009)", "at its end", "type study=a."]),
        ("study=a\u200bb", ["ZERO WIDTH SPACE (U+200B)", "at character 8", "type study=ab."]),
        ("dataset.path=a\u00a0b", ["NO-BREAK SPACE (U+00A0)", "type 'dataset.path=a b'."]),
        ("\ufeffarch=20", ["BYTE ORDER MARK (U+FEFF)", "at character 1", "type arch=20."]),
        ("plain=true\n", ["LINE FEED (U+000A)", "type plain=true."]),
        ("seed=1\x7f", ["control character (U+007F)", "type seed=1."]),
        ("study=\u202ea", ["RIGHT-TO-LEFT OVERRIDE (U+202E)", "type study=a."]),
        ("study=\u3164", ["HANGUL FILLER (U+3164)"]),
        ("-m\r", ["CARRIAGE RETURN", "type -m."]),
        ("photos\u2028", ["LINE SEPARATOR (U+2028)"]),
    ],
)
def test_an_invisible_character_is_named_with_its_place(word, named):
    for read in (command.arranged, command.without_options):
        message = _refused([word], read)
        assert all(part in message for part in named), message
        assert message.isprintable()


def test_an_invisible_character_in_quotes_is_meant(hydra):
    words = command.arranged(["dataset.path='a\u00a0b'"])
    assert to_plain(compose("config", overrides=words))["dataset"]["path"] == "a\u00a0b"


def test_describe_has_no_options_but_the_same_texts():
    assert command.without_options(["arch=1e3"]) == ["arch='1e3'"]
    levels = command.without_options(["arch=8", "design.reference.plain=false"])
    assert levels[1] == command.arranged(["design.reference.plain=false"])[0]
    assert "unknown option -m" in _refused(["-m", "arch=20"], command.without_options)
    assert _refused(["--arch=20"], command.without_options).endswith("arch=20.")


@pytest.mark.parametrize("written", ["1.10", "2024_05_01", "true", "0x10", "1_0", "007"])
def test_an_experiment_whose_text_yaml_takes_for_something_else_is_refused(tmp_path, written):
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "mine.yaml"
    words = ["--config-dir", str(tmp_path), "experiment=mine"]
    file.write_text(f"# @package _global_\nstudy: {written}\narch: 20\ndataset:\n  path: null\n")
    message = _refused(words)
    assert "mine.yaml" in message and f"quotes: '{written}'." in message
    file.write_text(f"# @package _global_\nstudy: '{written}'\narch: 20\n")
    assert command.arranged(words) == [*words[:2], "experiment='mine'"]


def _expanded(*words):
    loader = GlobalHydra.instance().config_loader()
    arranged = command.arranged(["-m", *words])[1:]
    return jobs.expand(loader.load_configuration("config", arranged, RunMode.MULTIRUN))


def test_a_factor_of_an_experiment_that_is_set_is_none_any_more(hydra):
    words = "experiment=degradation", "tune.grid=[]"
    assert _expanded(*words).swept == ["arch", "parts.plain", "seed"]
    expansion = _expanded(*words, "arch=8")
    assert expansion.swept == ["parts.plain", "seed"]
    assert {job.config["arch"] for job in expansion.jobs} == {"8"} and len(expansion.jobs) == 14


def _parts(job):
    return {name: level for name, level in job.config["parts"].items() if name in ("plain", "se")}


def test_all_arms_of_one_seed_come_before_the_next_seed(hydra):
    for design in ("grid", "leave_one_out", "cumulative"):
        found = _expanded(f"design={design}", "plain=false,true", "seed=3,1", "parts.se=true,false")
        seeds = [job.config["seed"] for job in found.jobs]
        assert seeds == sorted(seeds, key=[3, 1].index)
        arms = [job.arm for job in found.jobs]
        assert arms == [*range(len(arms) // 2)] * 2


def test_a_design_is_of_the_levels_in_the_order_named(hydra):
    found = _expanded("design=leave_one_out", "plain=false,true", "parts.se=true,false")
    assert [_parts(job) for job in found.jobs] == [
        {"plain": False, "se": True},
        {"plain": True, "se": True},
        {"plain": False, "se": False},
    ]


@pytest.mark.parametrize(
    "word",
    [
        "design.reference.plain=true",
        "design.reference.parts.plain=true",
        "++design.reference.plain=true",
    ],
)
def test_another_reference_can_be_asked_for(hydra, word):
    found = _expanded("design=leave_one_out", "plain=false,true", "parts.se=true,false", word)
    assert _parts(found.jobs[0]) == {"plain": True, "se": True}


def test_a_data_set_is_no_factor_and_each_has_the_whole_design(hydra):
    found = _expanded("design=leave_one_out", "dataset=digits,cifar10", "plain=false,true")
    names = [(job.config["dataset"]["name"], job.arm) for job in found.jobs]
    assert names == [("digits", 0), ("digits", 1), ("cifar10", 0), ("cifar10", 1)]


@pytest.mark.parametrize(
    ("word", "rejected"),
    [
        ("design.rejected=se", ("parts.se",)),
        ("design.rejected=[parts.se]", ("parts.se",)),
        ("design.rejected=se,plain", ("parts.se", "parts.plain")),
        ("design.rejected=parts.se=true,plain=false", ("parts.se=true", "parts.plain=false")),
        ("design.rejected=['se=true']", ("parts.se=true",)),
    ],
)
def test_what_is_rejected_is_written_with_brackets_or_without(hydra, word, rejected):
    found = _expanded("design=cumulative", "plain=true,false", "parts.se=false,true", word)
    assert found.space.rejected == rejected


def test_a_control_that_is_named_twice_is_one():
    words = command.arranged(["-m", "plain=true,false", "++control=sham,lesion,sham,null"])
    assert "control=['sham','lesion','null']" in words


def test_what_is_rejected_is_not_kept(hydra):
    words = "design=cumulative", "plain=true,false", "parts.se=false,true", "epochs=1,2"
    found = _expanded(*words, "design.rejected=[se]")
    last = found.jobs[-1].config
    assert (last["parts"]["plain"], last["parts"]["se"], last["epochs"]) == (False, False, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["design=leave_one_out"], "design=leave_one_out needs a key with several values"),
        (["design=leave_one_out", "seed=0,1"], "needs a key with several values"),
        (["design.reference.se=true", "plain=true,false"], "design.reference names se"),
        (["design.reference.plain=no", "plain=true,false"], "Allowed: true, false."),
        (
            ["design.reference.plain=false", "plain=true,false"],
            "plain=false is for a design with a reference, such as design=leave_one_out; in a grid "
            "report.reference=LEVEL names the level",
        ),
        (["design.rejected=[depth]", "plain=true,false"], "design.rejected names depth"),
        (["design.rejected=plain", "plain=true,false"], "plain is for design=cumulative"),
        (["design.reference.plain", "plain=true,false"], "design.reference.KEY=LEVEL"),
        (
            [
                "plain=true,false",
                "design.reference.plain=true",
                "design.reference.parts.plain=false",
            ],
            "design.reference.parts.plain is given 2 times: true and false",
        ),
        (["design.name=nope", "plain=true,false"], "design.name=nope is not known. Allowed: grid"),
        (["design=both", "plain=true,true"], "needs a key with several values"),
    ],
)
def test_a_design_that_cannot_be_made_is_told(hydra, words, message):
    with pytest.raises(UserError) as error:
        _expanded(*words)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["epochs=range(5,1)"], "epochs=range(5,1) names no value; a range ends before its end"),
        (["plain=glob(*)"], "plain=glob(*) names no value; glob() finds files of conf/"),
        (["tune.grid=glob(*)"], "tune.grid=glob(*) names no value"),
        (["epochs=shuffle()"], "epochs=shuffle() names no value; write the values"),
        (["epochs=range(1,2,0)"], "cannot be counted out; it is written range(START,END,STEP)"),
        (["recipe.learning_rate=range(0.1,0.3,nan)"], "range(0.1,0.3,nan) cannot be counted out"),
        (["seed=shuffle(range(0,inf,0.5))"], "cannot be counted out"),
        (["seed=range(1000000)"], "seed=range(1000000) names 1,000,000 runs, more than the 20,000"),
        (["recipe.learning_rate=range(0.1,1000000,0.1)"], "names 9,999,999 runs"),
        (["recipe.momentum=range(0,1e300,1e-300)"], "names 1e+600 runs"),
        (["seed=range(1000)", "epochs=range(1,101)"], "the command names 100,000 runs"),
        (
            ["design=both", "epochs=range(1,6000)", "seed=0,1", "plain=true,false"],
            "names 23,996 runs",
        ),
    ],
)
def test_values_that_cannot_be_listed_are_told_before_they_are(hydra, words, message):
    with pytest.raises(UserError) as error:
        _expanded(*words)
    assert message in str(error.value)


@pytest.mark.parametrize(
    "words",
    [
        ["seed=0", "seed=1"],
        ["plain=true", "epochs=2", "parts.plain=false"],
        ["dataset=digits", "dataset=mnist"],
        ["seed=1", "++seed=2"],
    ],
)
def test_a_key_is_given_once(words):
    with pytest.raises(UserError, match="is given 2 times"):
        command.arranged(["-m", *words])


def test_a_key_is_given_once_to_describe_too():
    with pytest.raises(UserError, match=r"study is given 2 times: a and b\. Give it once\.$"):
        command.arranged(["study=a", "study=b"])
    with pytest.raises(UserError, match="arch is given 2 times"):
        command.without_options(["arch=20", "arch=34"])


def test_references_and_rejected_factors_may_be_several():
    words = ["design.reference.arch=34", "design.reference.seed=1", "design.rejected=plain"]
    assert command.arranged(["-m", *words, "design.rejected=shortcut"])


@pytest.fixture
def experiments(tmp_path):
    """Writes experiments, of which one is made of another; returns the words that find them."""
    written = {
        "base": "arch: '20'\nhydra: {mode: MULTIRUN}\n"
        "tune: {grid: ['recipe.learning_rate=0.1,0.01', 'recipe.momentum=0,0.9']}\n"
        "design: {reference: ['norm=group', 'se=true']}\n",
        "child": "defaults: [base, _self_]\nepochs: 2\n",
        "grandchild": "defaults: [/experiment/child, _self_]\n",
        "odd": "study: 1.10\n",
        "of_odd": "defaults: [odd]\n",
    }
    (tmp_path / "experiment").mkdir()
    for name, text in written.items():
        (tmp_path / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    return ["--config-dir", str(tmp_path)]


@pytest.mark.parametrize("name", ["base", "child", "grandchild"])
def test_what_is_typed_stands_beside_what_an_experiment_has_of_other_keys(experiments, name):
    words = [f"experiment={name}", "tune.recipe.momentum=0.5", "design.reference.se=false"]
    found = command.arranged([*experiments, *words])
    assert "tune.grid=['recipe.learning_rate=0.1,0.01','recipe.momentum=0.5']" in found
    assert "design.reference=['norm=group','se=false']" in found


def test_a_text_in_a_file_that_an_experiment_is_made_of_is_checked_too(experiments):
    with pytest.raises(UserError, match=r"odd.yaml: YAML reads study: 1.10 as 1.1"):
        command.arranged([*experiments, "experiment=of_odd"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["experiment=fashion_mnist", "dataset=digits"], "dataset.name=fashion_mnist"),
        (["experiment=degradation", "recipe=adam"], "recipe.learning_rate=0.1"),
        (["experiment=carries_56", "recipe=adam"], "recipe.learning_rate=0.1"),
    ],
)
def test_a_choice_that_an_experiment_would_be_mixed_with_is_refused(words, said):
    with pytest.raises(UserError, match="would be mixed with") as error:
        command.arranged(words)
    assert said in str(error.value) and f"leave out {words[1]}" in str(error.value)


def test_a_choice_goes_with_an_experiment_that_sets_none_of_its_keys():
    assert command.arranged(["experiment=degradation", "dataset=mnist"])
    # What the experiment itself chooses is no other choice.
    assert command.arranged(["experiment=degradation", "recipe=sgd"])
    keys_of_it = ["learning_rate=1e-3", "momentum=0", "weight_decay=0", "batch_size=64"]
    typed = [f"recipe.{key}" for key in [*keys_of_it, "schedule=constant"]]
    assert command.arranged(["experiment=degradation", "recipe=adam", *typed])
