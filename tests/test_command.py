"""The words of a command: text stays what was typed, and a slip is answered with the right word."""

import shlex

import pytest
from hydra import compose, initialize_config_dir

from ablation import command
from ablation.command import arranged, quoted, text_keys
from ablation.config import CONF_DIR, UserError, to_plain
from ablation.jobs import configurations

TEXTS = [
    "1.10",
    "2024_05_01",
    "1e3",
    "true",
    "null and void",
    "0x10",
    "-1",
    ".5",
    "nan",
    "~/photos",
    "a=b",
    "a#b c",
    "a(b)",
    "it's",
    'the "best"',
    "both ' and \"",
    "a;b",
    "a:b",
    "[a]",
    "{a: b}",
    "a{b",
    "C:\\photos\\",
    "back\\\\slash",
    "\\'",
    "100%",
    "$HOME",
    "$$",
    "@file",
    "*",
    "!important",
    "写真",
    "صور",
    "e\u0301",
    "\U0001f9ea",
    "\U0001f468\u200d\U0001f52c lab",
    "not utf-8 \udcff",
    " blanks around ",
    "???x",
]


@pytest.fixture(scope="module")
def composed():
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        yield lambda words: to_plain(compose("config", overrides=words))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("key", ["study", "dataset.path", "report.reference"])
def test_text_is_what_was_typed(composed, key, text):
    found = composed(arranged([f"{key}={text}"]))
    for part in key.split("."):
        found = found[part]
    assert found == text


def test_every_element_of_a_sweep_is_what_was_typed(composed):
    # Each word of a sweep is one job's, as Hydra's own sweeper parts them.
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    from ablation.jobs import _parsed

    texts = [text for text in TEXTS if not text.startswith(" ") and text not in ("[a]",)]
    for text in texts:
        other = "1.20"
        words = arranged([f"dataset.path={text},{other}"])
        (jobs,) = BasicSweeper.split_arguments(_parsed(words), max_batch_size=None)
        paths = [one["dataset"]["path"] for one in configurations("config", jobs)]
        if text.count("'") % 2 or text.count("{") != text.count("}"):
            continue  # Between quotes and brackets a comma divides nothing.
        assert paths == [text, other]


def test_what_is_quoted_for_the_shell_is_read_back(composed):
    for text in ("a,b", *TEXTS):
        (word,) = shlex.split(quoted("dataset.path", text))
        assert composed(arranged([word]))["dataset"]["path"] == text


def test_null_and_functions_stay_hydras(composed):
    assert composed(arranged(["dataset.path=null"]))["dataset"]["path"] is None
    assert composed(arranged(["study=null"]))["study"] == "null"
    assert arranged(["arch=choice(20,32)"]) == ["arch=choice(20,32)"]
    assert arranged(["seed=range(3)", "epochs=1,2"]) == ["seed=range(3)", "epochs=1,2"]


def test_the_keys_of_text_are_those_of_the_schema():
    assert {"study", "arch", "dataset.path", "runs_dir"} <= set(text_keys())
    assert not {"epochs", "seed", "recipe.learning_rate", "plain"} & set(text_keys())
    assert text_keys()["dataset.path"] and not text_keys()["study"]  # May it be null?


def test_the_option_that_sweeps_comes_first_and_others_keep_their_values():
    assert arranged(["arch=20", "--cfg", "job"]) == ["--cfg", "job", 'arch="20"']
    assert arranged(["seed=1,2", "-m"]) == ["-m", "seed=1,2"]


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("--arch=20", "arch=20"),
        ("-arch=20", "arch=20"),
        ("--arch 20", "arch=20"),
        ("---study=a", "study=a"),
        ("arch = 20", "arch=20"),
        ("arch =20", "arch=20"),
        ("arch= 20", "arch=20"),
        ("arch 20", "arch=20"),
        ("arch: 20", "arch=20"),
        ("arch:20", "arch=20"),
        ("arch=20, 32", "-m arch=20,32"),
        ("arch=20 ,32", "-m arch=20,32"),
        ("arch=20 , 32", "-m arch=20,32"),
        ("-m seed=1, 2, 3 plain=true", "-m seed=1,2,3"),
        ("plain=true epochs = 3", "epochs=3"),
        ("arch=", "arch=VALUE"),
        ("20", "such as arch=34"),
        ("--fast", "Options: -m"),
    ],
)
def test_a_slip_is_answered_with_the_right_spelling(typed, right):
    with pytest.raises(UserError) as error:
        arranged(typed.split())
    assert right in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("epochs=5\r", "U+000D (carriage return)"),
        ("study=a\u200b", "U+200B (zero width space)"),
        ("\ufeffstudy=a", "U+FEFF (zero width no-break space)"),
        ("study=a\u00a0", "U+00A0 (no-break space)"),
        ("dataset.path=a\tb", "U+0009 (tab)"),
        ("plain=true\u2028", "U+2028 (line separator)"),
        ("seed=1\x7f", "U+007F"),
    ],
)
def test_an_invisible_character_is_named(word, name):
    with pytest.raises(UserError) as error:
        arranged([word])
    assert name in str(error.value) and str(error.value).isprintable()


def test_a_version_is_the_projects_own(cli, tmp_path):
    done = cli("--version", cwd=tmp_path)
    assert done.stdout == f"{command.version()}\n"
    assert command.version().startswith("ablation ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["arch=20,32"], ["-m arch=20,32", "'arch=\"20,32\"'"]),
        (["dataset.path=a,b"], ["'dataset.path=\"a,b\"'"]),
        (["epochs=5;"], ["epochs=5; cannot be read as key=value"]),
        (["recipe.milestones=[0.5"], ["recipe.milestones=[0.5 cannot be read"]),
        (["study=a/b"], ["study='a/b' cannot name a folder"]),
    ],
)
def test_what_hydra_cannot_read_is_told_with_this_key(cli, tmp_path, words, said):
    done = cli(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in said), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_network_is_described_by_text_too(cli, tmp_path):
    done = cli("arch=1e3", cwd=tmp_path, module="ablation.describe")
    assert "arch=1e3 is not known" in done.stderr


def test_a_report_takes_a_folder_whose_name_has_an_equals_sign(cli, tmp_path):
    (tmp_path / "a=b").mkdir()
    done = cli("a=b", cwd=tmp_path, module="ablation.report")
    assert "holds no runs" in done.stderr and "a=b" in done.stderr
    done = cli("a=b", "report.contrst=arch", cwd=tmp_path, module="ablation.report")
    assert "unknown option report.contrst" in done.stderr
    done = cli("somewhere/a=b", cwd=tmp_path, module="ablation.report")
    assert "holds no runs" in done.stderr
