"""`seed=until(20)` and claims, from the command line to the report."""

import json
import re
import shutil
from dataclasses import replace

import pytest

from ablation.config import ReportConfig
from ablation.records import asked, store
from ablation.running.until import Buying
from support import run_of

NET = """
import keras

def build(input_shape, classes, *, wide: bool = True, twin: bool = False):
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    # Of another name it starts from other weights, and is the same net else.
    name = "other" if twin else "hidden"
    x = keras.layers.Dense(32 if wide else 2, activation="relu", name=name)(x)
    return keras.Model(image, keras.layers.Dense(classes, name="out")(x))
"""
KEYS = ("arch=net.py:build", "dataset.image_size=8", "epochs=2")
WIDE = ("-m", *KEYS, "parts.wide=true,false", "seed=until(20)", "control=sham")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def _seeds(study):
    return [int(re.search(r"-s(\d+)-", run.name)[1]) for run in store.run_directories(study)]


@pytest.fixture(scope="module")
def decided(cli, tmp_path_factory):
    """A study that is decided early, a sham beside it, with two claims: (its folder, done)."""
    folder = tmp_path_factory.mktemp("decided")
    (folder / "net.py").write_text(NET)
    (folder / "mine.yaml").write_text(
        "- wide=true, sham > wide=false\n- wide=false > wide=true by 1\n"
    )
    done = cli(*WIDE, "claims=mine.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_seeds_are_trained_until_the_question_is_decided(decided):
    folder, done = decided
    study = folder / "runs" / "main"
    seeds = sorted(set(_seeds(study)))
    assert seeds == list(range(len(seeds))) and 6 <= len(seeds) < 12
    # Two arms and the sham, which no question counts.
    assert len(_seeds(study)) == 3 * len(seeds)
    assert f"after {len(seeds)} seeds: 1 of 1 question decided" in done.stderr
    assert "after 5 seeds: 0 of 1 question decided; open: wide" in done.stderr
    # The claims are two, so that they need a seed more than the one question.
    assert f"after {len(seeds) - 1} seeds: 1 of 1 question decided; 0 of 2 claims" in done.stderr
    assert "at most 60 to train" in done.stderr
    assert asked.looked(study).order == tuple(seeds)


def test_every_report_says_that_the_seeds_were_chosen_by_looking(decided):
    folder, done = decided
    study = folder / "runs" / "main"
    for text in (done.stdout, (study / "report.md").read_text()):
        assert "decided by looking at the results" in text
        assert "**Seeds chosen by looking:**" in text
    page = (study / "report.html").read_text()
    assert "Seeds chosen by looking:" in page and "by looking at the results, at most 20" in page
    report = json.loads((study / "report.json").read_text())
    (comparison,) = report["comparisons"]
    assert comparison["certificate"]["looked"]["at_most"] == 20
    (question,) = comparison["questions"]
    assert question["verdict"] == "hurts" and question["high"] <= 0
    assert question["exact"] == "" and question["p_holm"] <= 0.05
    assert "at most 20" in (study / "report" / "checklist.md").read_text()


def test_the_same_command_trains_nothing_more(decided, cli):
    folder, _ = decided
    before = _seeds(folder / "runs" / "main")
    done = cli(*WIDE, cwd=folder)
    assert done.returncode == 0 and "no further seed is trained" in done.stderr
    assert _seeds(folder / "runs" / "main") == before
    done = cli(*WIDE, "plan=true", cwd=folder)
    assert "At most" in done.stdout and "Every question is decided" in done.stdout


def test_claims_are_held_against_the_study(decided, cli):
    folder, _ = decided
    study = folder / "runs" / "main"
    assert (study / "claims.yaml").read_bytes() == (folder / "mine.yaml").read_bytes()
    done = cli("runs/main", "--check", module="ablation.report", cwd=folder)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert first.startswith("HOLDS: wide=true, sham > wide=false: +")
    assert second.startswith("FAILS: wide=false > wide=true by 1: -")
    for name in ("report.md", "report.html"):
        text = (study / name).read_text()
        assert "HOLDS" in text and "before the first run, with SHA-256" in text
    answers = json.loads((study / "report.json").read_text())["claims"]["answers"]
    assert [one["verdict"] for one in answers] == ["HOLDS", "FAILS"]
    assert [one["added_afterwards"] for one in answers] == [False, False]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("- wide=true > wide=false\n", 1, "FAILS (taken out afterwards)"),
        ("- wide=true > wide=false\n- wide=true > wide=false by 1\n", 1, "(added afterwards)"),
        ("- wide=true >\n", 2, "is no claim"),
    ],
)
def test_claims_that_are_changed_afterwards_are_shown_as_such(
    decided, cli, tmp_path, content, code, words
):
    shutil.copytree(decided[0] / "runs", tmp_path / "runs")
    (tmp_path / "runs" / "main" / "claims.yaml").write_text(content)
    done = cli("runs/main", "--check", module="ablation.report", cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stdout + done.stderr and "Traceback" not in done.stderr


def test_a_study_whose_claims_all_hold_is_told_by_the_exit_code(decided, cli, tmp_path):
    study = tmp_path / "runs" / "main"
    shutil.copytree(decided[0] / "runs", tmp_path / "runs")
    asked.update(study, "claims", lambda _: [])
    (study / "claims.yaml").write_text("- wide=true > wide=false\n")
    done = cli("runs/main", "--check", module="ablation.report", cwd=tmp_path)
    assert done.returncode == 0 and "HOLDS (added afterwards)" in done.stdout
    (study / "claims.yaml").unlink()
    done = cli("runs/main", "--check", module="ablation.report", cwd=tmp_path)
    assert done.returncode == 2 and "has no claims" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_seed_that_was_stopped_half_way_is_finished_first(decided, cli, tmp_path):
    for name in ("runs", "net.py"):
        copy = shutil.copytree if name == "runs" else shutil.copy
        copy(decided[0] / name, tmp_path / name)
    study = tmp_path / "runs" / "main"
    last = max(_seeds(study))
    (half,) = (path for path in study.glob(f"*wide_false*-s{last}-*"))
    weights = json.loads((half / "result.json").read_text())["weights_sha256"]
    shutil.rmtree(half)
    done = cli(*WIDE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 2/2") == 1
    assert max(_seeds(study)) == last
    assert json.loads((half / "result.json").read_text())["weights_sha256"] == weights


def test_an_until_that_is_too_small_says_so_after_the_first_seed(stored_run, config, tmp_path):
    first = []
    for arch in ("20", "56"):
        for part in ("true", "false"):
            words = f"arch={arch}", f"plain={part}"
            stored_run(*words, val_accuracy=0.5 + 0.2 * (part == "false"))
            first.append(config(*words, f"runs_dir={tmp_path}"))
    study = tmp_path / "main"
    asked.add(study, ["arch", "parts.plain"])

    def said(at_most):
        runs = [run_of(replace(one, seed=s), "d1") for s in range(at_most) for one in first]
        buying = Buying(study, ReportConfig(), "grid", runs, at_most)
        buying.record()
        goes_on, text = buying.look()
        assert goes_on
        return text

    # Five questions are too many for six seeds, whatever comes.
    least = int(re.search(r"type seed=until\((\d+)\) or more", said(6))[1])
    assert 6 < least < 12
    assert said(least - 1).endswith(f"before {least} seeds: type seed=until({least}) or more)")
    assert said(least).endswith(f"(none can be before {least} seeds)")


def test_a_seed_that_was_trained_by_hand_buys_none_of_those_before_it(stored_run, config, tmp_path):
    words = [("arch=20", f"plain={part}") for part in ("true", "false")]
    stored_run(*words[0], "seed=4")
    asked.add(tmp_path / "main", ["parts.plain"])
    first = [config(*of_arm, f"runs_dir={tmp_path}") for of_arm in words]
    runs = [run_of(replace(one, seed=s), "d1") for s in range(9) for one in first]
    buying = Buying(tmp_path / "main", ReportConfig(), "grid", runs, 9)
    assert {run.config.seed for run in buying.bought} == {4}
    assert buying.buy(1) and {run.config.seed for run in buying.bought} == {0, 4}


def test_what_differs_in_nothing_spends_all_seeds(cli, folder):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = ("-m", *KEYS, "parts.twin=false,true", "seed=until(7)", "hydra/launcher=joblib")
    done = cli(*words, "hydra.launcher.n_jobs=2", cwd=folder, cold=True)
    assert done.returncode == 0, done.stderr
    # Before six seeds there is nothing to look for, so that workers need not wait.
    looks = re.findall(r"after (\d) seeds: 0 of 1 question decided", done.stderr)
    assert looks == ["6", "7"]
    assert "all 7 seeds are spent" in done.stderr
    assert "open" in (folder / "runs" / "main" / "report.md").read_text()


def test_an_arm_that_always_fails_is_not_bought_for_ever(cli, folder):
    words = ("-m", *KEYS, "recipe.learning_rate=0.01,1e30", "report.contrast=recipe.learning_rate")
    done = cli(*words, "seed=until(20)", cwd=folder)
    assert done.returncode == 1
    assert "given up, since an arm always fails: 1" in done.stderr
    assert sorted(set(_seeds(folder / "runs" / "main"))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["seed=until(20)"], "put -m before the keys"),
        (["-m", "seed=until(20)"], "a single arm asks none"),
        (["-m", "parts.wide=true,false", "seed=until(3)"], "fewer than 6 seeds"),
        (["-m", "parts.wide=true,false", "seed=0,until(9)"], "nothing beside it"),
        (["-m", "parts.wide=true,false", "epochs=until(9)"], "until() is for seeds"),
        (["-m", "parts.wide=true,false", "seed=until(9)", "rerun=all"], "name the seeds"),
        (
            ["-m", "recipe.momentum=0,0.9", "report.contrast=wide", "seed=until(9)"],
            "add report.contrast=recipe.momentum",
        ),
        (["-m", "parts.wide=true,false", "claims=none.yaml"], "none.yaml cannot be read"),
        (["-m", "parts.wide=true,false", "claims=bad.yaml"], "claim 1: 'wide >' is no claim"),
        (["-m", "parts.wide=true,false", "claims=typo.yaml"], "Known: "),
        (["-m", "claims=bad.yaml,typo.yaml"], "cannot be swept"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(cli, folder, words, said):
    (folder / "bad.yaml").write_text("- 'wide > '\n")
    (folder / "typo.yaml").write_text("- wide=tru > wide=false\n")
    done = cli(*words, "arch=net.py:build", cwd=folder)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert said in done.stderr
    assert not (folder / "runs").exists()
