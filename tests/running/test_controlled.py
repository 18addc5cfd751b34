"""`control=...`, from the command line to the report."""

import json
import re
from dataclasses import replace

import pytest

from ablation.analysis.claims import claimed
from ablation.analysis.reading import load
from ablation.config import UserError
from ablation.designs import Space
from ablation.designs.registry import DESIGNS
from ablation.factors import spelled
from ablation.networks import widen
from ablation.records import asked, controls, store
from ablation.report import notes
from ablation.report.as_json import as_json
from ablation.running import controls as running
from ablation.running.jobs import Expansion, Job
from support import run_of

NET = """
import keras

def build(input_shape, classes, *, width: int = 32, gate: bool = True, wide: bool = True):
    image = keras.Input(input_shape)
    x = keras.layers.Flatten()(image)
    x = keras.layers.Dense(width, activation="relu", name="hidden")(x)
    if wide:
        x = keras.layers.Dense(width, activation="relu", name="second")(x)
    if gate:
        x = keras.layers.Rescaling(0.5, name="gate")(x)
    return keras.Model(image, keras.layers.Dense(classes, name="out")(x))
"""
KEYS = ("arch=net.py:build", "dataset.image_size=8", "epochs=2")
DESIGN = ("-m", *KEYS, "design=leave_one_out", "parts.wide=true,false", "parts.gate=true,false")


def _results(study):
    return {
        path.name: json.loads((path / "result.json").read_text())
        for path in store.run_directories(study)
    }


@pytest.fixture(scope="module")
def trained(cli, tmp_path_factory):
    """A study with controls, its reference tuned: (its folder, what was printed)."""
    folder = tmp_path_factory.mktemp("controlled")
    (folder / "net.py").write_text(NET)
    tuned = "tune.recipe.learning_rate=0.1,0.03"
    done = cli(*DESIGN, tuned, "seed=0,1", "control=sham,capacity", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_sham_differs_in_the_draw_of_its_weights_alone(trained):
    folder, _ = trained
    study = folder / "runs" / "main"
    found, results = controls.controls(study), _results(study)
    shams = [one for one in found if one.kind == "sham"]
    assert len(results) == 10 and len(shams) == 2
    for one in shams:
        sham, of = results[one.run], results[one.of]
        for key in ("order_sha256", "train_fingerprint", "steps", "trainable"):
            assert sham[key] == of[key]
        drawn = [digest for digest, _ in sham["initial"]], [digest for digest, _ in of["initial"]]
        # Kernels are others; biases are zeros in both.
        assert [a != b for a, b in zip(*drawn, strict=True)] == [True, False] * 3
        configs = [store.Stored(study / name).config() for name in (one.run, one.of)]
        assert configs[0] | {"draw": 0} == configs[1] | {"draw": 0}
        assert (configs[0]["draw"], configs[1]["draw"]) == (1, 0)
    # The draws of two seeds are no copies of each other.
    digests = {name: result["weights_sha256"] for name, result in results.items()}
    assert len(set(digests.values())) == len(digests)


def test_a_sham_is_not_trained_again_and_stands_in_the_plan(trained, cli):
    folder, done = trained
    assert "control=sham" in done.stderr and "reference, sham" in done.stdout
    tuned = "tune.recipe.learning_rate=0.1,0.03"
    planned = cli(*DESIGN, tuned, "seed=0,1", "control=sham,capacity", "plan=true", cwd=folder)
    assert planned.returncode == 0, planned.stderr
    assert len(re.findall(r"-draw1-", planned.stdout)) == 2
    assert re.search(r"\b0 of 16 runs to train", planned.stdout), planned.stdout
    # Wherever a run's name does not say which arm it is of, that stands beside it.
    assert len(re.findall(r"-draw1-\S+ *│ reference, sham *│", planned.stdout)) == 2
    assert re.search(r"-draw1-\S+ \(reference, sham\)  epoch 1/", done.stderr)
    assert re.search(r"\S+ \(without wide, capacity\)  complete", done.stderr)


def test_the_arm_that_lost_parameters_is_widened_to_as_many_and_tuned_like_it(trained):
    folder, done = trained
    study = folder / "runs" / "main"
    results = _results(study)
    found = [one for one in controls.controls(study) if one.kind == "capacity"]
    assert len(found) == 2
    for one in found:
        wide, own, full = (results[name] for name in (one.run, one.of, one.facts["against"]))
        assert own["trainable"] < 0.99 * full["trainable"]
        assert abs(wide["trainable"] - full["trainable"]) <= 0.01 * full["trainable"]
        assert (own["trainable"], full["trainable"]) == (one.facts["own"], one.facts["target"])
        rates = {
            store.Stored(study / name).config()["recipe"]["learning_rate"]
            for name in (one.run, one.of)
        }
        assert len(rates) == 1
    assert re.search(r"control=capacity: without wide has 2,410 parameters", done.stderr)
    assert "Fewer parameters: without wide has" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("control=sham",), "put -m before the keys"),
        (("-m", "plain=true,false", "control=shan"), "Allowed: sham"),
        (("-m", "plain=true,false", "draw=1"), "control=sham"),
        (("-m", "arch=preact15", "plain=true,false", "control=capacity"), "named width"),
        (
            ("-m", "arch=20", "design=add_one", "plain=true,false", "control=capacity"),
            "design=both",
        ),
    ],
)
def test_bad_input_gets_one_line(words, said, cli, tmp_path):
    done = cli(*words, cwd=tmp_path)
    assert done.returncode == 2 and said in done.stderr
    lines = done.stderr.strip().splitlines()
    assert [line for line in lines if line.startswith("ablation: ")] == lines[-1:]
    assert not list(tmp_path.iterdir())


def _expanded(config, **levels):
    """Returns a design of some factors as a command has it, and its runs."""
    arms = DESIGNS["leave_one_out"].arms(Space(levels))
    typed = [{key: spelled(level) for key, level in arm.levels.items()} for arm in arms]
    runs = [run_of(config("arch=20", *(f"{k}={v}" for k, v in one.items()))) for one in typed]
    jobs = [Job((), place, one, {}) for place, one in enumerate(typed)]
    return Expansion(jobs, list(levels), Space(levels)), runs


def test_an_arm_that_no_width_brings_closer_is_said_and_not_trained(config, monkeypatch):
    expansion, runs = _expanded(config, **{"parts.se": (True, False)})
    own = runs[1].config.parts["width"]
    answer = {"own": 2410, "target": 2474, "level": own, "parameters": 2410}
    monkeypatch.setattr(running, "_search", lambda run, full: {})
    monkeypatch.setattr(running, "_answers", lambda searches, run: dict.fromkeys(searches, answer))
    found = running.widened(expansion, runs, "leave_one_out")
    said = (
        "control=capacity: parts.se=false has 2,410 parameters, the full network 2,474; no width "
        "comes closer than the arm as it is"
    )
    assert found.said == [said] and found.expansion.uncontrolled == {"capacity": {1: said}}
    assert found.expansion.jobs == expansion.jobs


def test_an_arm_whose_network_cannot_be_counted_is_said_and_the_others_are_widened(
    config, monkeypatch
):
    levels = {"parts.se": (True, False), "parts.preact": (True, False)}
    expansion, runs = _expanded(config, **levels)
    jobs = [replace(job, config={"parts": {}}) for job in expansion.jobs]
    expansion = replace(expansion, jobs=jobs)
    wider = {"own": 2000, "target": 2474, "level": 20, "parameters": 2480}
    monkeypatch.setattr(running, "_search", lambda run, full: run.config.parts)
    monkeypatch.setattr(
        running,
        "_answers",
        lambda searches, run: {
            name: wider if search["se"] else {"why": "net.py line 3: no such layer"}
            for name, search in searches.items()
        },
    )
    found = running.widened(expansion, runs, "leave_one_out")
    said = (
        "control=capacity: parts.se=false, parts.preact=true cannot be widened: net.py line 3: "
        "no such layer"
    )
    assert list(found.expansion.uncontrolled["capacity"].values()) == [said]
    assert said in found.said
    assert [job.control.kind for job in found.expansion.jobs if job.control] == ["capacity"]


def test_a_search_that_fails_ends_no_other(tmp_path):
    broken = NET.replace("    if gate:", "    if not gate:\n        1 / 0\n    if gate:")
    (tmp_path / "net.py").write_text(broken)
    net = {"arch": f"{tmp_path}/net.py:build", "shape": [8, 8, 1], "classes": 3, "vocabulary": None}
    target = net | {"parts": {"width": 16}}
    narrow = net | {"parts": {"width": 8}, "target": target}
    searches = [narrow | {"parts": {"width": 8, "gate": False}}, narrow]
    code, text = widen.work(json.dumps({"backend": "tensorflow", "searches": searches}))
    failed, able = json.loads(text)
    assert code == 0 and "ZeroDivisionError" in failed["why"]
    assert (able["level"], able["parameters"]) == (16, able["target"])


def test_a_lesion_of_arms_that_differ_in_no_part_is_said(config):
    expansion, runs = _expanded(config, **{"recipe.momentum": (0.9, 0.0)})
    trained = [run.name for run in runs]
    found = running.lesions(expansion, runs, "leave_one_out", trained)
    said = "control=lesion: no arm differs from the full network in parts alone"
    assert found.said == dict.fromkeys(trained, said)


def test_an_arm_of_other_data_has_the_reference_for_its_full_network(config):
    levels = {"parts.plain": (False, True), "dataset.image_size": (32, 16)}
    expansion, runs = _expanded(config, **levels)
    runs = [replace(run, fingerprint=f"of {run.config.dataset.image_size}") for run in runs]
    found = running.full_of(expansion, runs, "leave_one_out")
    assert found == dict.fromkeys(range(len(runs)), 0)


def test_a_part_that_is_tuned_makes_no_full_network(config):
    """Which it would, if tuning chose for the lesser arm what the network has by default."""
    expansion, runs = _expanded(config, **{"parts.se": (False, True)})
    tune = replace(runs[0].config.tune, grid=["parts.preact=true,false"])

    def tuned(run, preact):
        parts = run.config.parts | {"preact": preact}
        return replace(run, config=replace(run.config, parts=parts, tune=tune))

    runs = [tuned(run, preact) for run, preact in zip(runs, (False, True), strict=True)]
    chosen = running.full_of(expansion, runs, "grid")
    before = [tuned(run, False) for run in runs]
    assert chosen == running.full_of(expansion, before, "grid")
    with pytest.raises(UserError, match=r"which tune\.parts\.preact changes for each arm"):
        running.widened(expansion, runs, "grid")


def test_why_there_is_no_control_stays_in_the_report(stored_run, tmp_path):
    for plain in ("true", "false"):
        stored_run(f"plain={plain}")
    study = tmp_path / "main"
    asked.add(study, [])
    said = {"lesion": {"a": "no parts", "b": "no parts"}, "capacity": {"a": "no width"}}
    controls.put_without(study, said, ["a", "b"])
    controls.put_without(study, {"capacity": {}}, ["a"])
    loaded = load(study)
    assert as_json(loaded, [], [], claimed(loaded))["without_control"] == ["no parts"]
    (note,) = notes.outside(loaded, loaded.comparisons())
    assert (note.lead, note.items) == ("Without a control:", ("no parts",))


def test_why_a_run_had_no_control_that_stands_in_no_table_is_not_told(stored_run, tmp_path):
    runs = [stored_run(f"plain={plain}").name for plain in ("true", "false")]
    study = tmp_path / "main"
    asked.add(study, [])
    controls.put_without(study, {"lesion": {runs[0]: "old", runs[1]: "new", "pending": "next"}}, [])
    assert load(study).uncontrolled == ("old", "new", "next")
    (study / runs[0] / "config.yaml").write_text("damaged: [")
    assert load(study).uncontrolled == ("new", "next")


def test_a_command_of_other_arms_leaves_what_an_earlier_one_said(tmp_path):
    asked.add(tmp_path, [])
    asked.update(tmp_path, "uncontrolled", lambda known: {"capacity": ["of a record of before"]})
    assert controls.without(tmp_path) == ["of a record of before"]
    controls.put_without(tmp_path, {"lesion": {"a": "no weights"}}, ["a", "b"])
    assert controls.without(tmp_path) == ["of a record of before", "no weights"]
    controls.put_without(tmp_path, {"lesion": {"c": "no parts"}, "capacity": {}}, ["c"])
    assert controls.without(tmp_path) == ["no weights", "no parts"]
    controls.put_without(tmp_path, {"lesion": {}}, ["a", "b"])
    assert controls.without(tmp_path) == ["no parts"]
