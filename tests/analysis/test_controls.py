"""What stands beside the arms of a study, in no question and in no correction."""

import json

import numpy as np
import pytest

from ablation.analysis.audit import audit
from ablation.analysis.claims import claimed
from ablation.analysis.controls import control_effects, controls_table
from ablation.analysis.reading import load
from ablation.analysis.significance import ALPHA, paired_t_p
from ablation.analysis.tables import arms_table, comparison_effects, questions
from ablation.config import UserError
from ablation.export.exported import exported
from ablation.records import asked, controls, durable, store
from ablation.records.controls import Control
from ablation.report.cells import arm_cells, control_cells
from ablation.report.controls import sentences
from ablation.report.write import write_report

SEEDS = (0, 1, 2, 3)
LEAVE_ONE_OUT = {"parts.plain": ("false", "true"), "parts.se": ("true", "false")}
GRID = {"arch": ("20", "56"), "parts.plain": ("true", "false")}


def _noise(*key):
    return np.random.default_rng([*map(int, key)]).normal(0, 0.01)


@pytest.fixture
def study(stored_design, stored_run, tmp_path):
    """Writes a design whose first arm has a sham: without se it is 5 points worse."""

    def write(design, named, first, *, missing=(), state=store.COMPLETE, noise=1.0, initial=None):
        """`initial` takes a seed and whether a run is the sham's."""
        digests = initial or (lambda seed, sham: [[f"{seed}{sham}", 9]])

        def accuracy(levels, seed):
            worse = (0.05 + 0.001 * (seed % 2)) * (levels.get("parts.se") == "false")
            drawn = _noise(seed, len(levels), levels.get("parts.plain") == "true")
            return 0.8 - worse + noise * drawn

        folder = stored_design(
            design,
            named,
            accuracy,
            seeds=SEEDS,
            result=lambda _, seed: {"initial": digests(seed, False)},
        )
        beside = []
        for seed in SEEDS:
            of = next(
                path.name
                for path in store.run_directories(folder)
                if f"-s{seed}-" in path.name and _is(path, first)
            )
            if seed not in missing:
                words = [*(f"{key}={level}" for key, level in first.items()), f"seed={seed}"]
                score = 0.8 + noise * _noise(seed, 7, 7)
                start = {"initial": digests(seed, True)}
                run = stored_run(*words, "draw=1", val_accuracy=score, state=state, **start)
                beside.append(Control("sham", run.name, of))
        controls.put(folder, beside)
        return folder

    return write


def _is(path, levels):
    config = store.Stored(path).config()
    known = {"arch": config["arch"]} | {
        f"parts.{key}": str(level).lower() for key, level in config["parts"].items()
    }
    return all(known[key] == level for key, level in levels.items())


@pytest.mark.parametrize(
    "design", ["leave_one_out", "add_one", "both", "cumulative", "grid"], ids=str
)
def test_a_sham_changes_no_question_no_number_and_no_table(design, study, stored_design, tmp_path):
    named = GRID if design == "grid" else LEAVE_ONE_OUT
    last = -1 if design == "add_one" else 0
    folder = study(design, named, {key: levels[last] for key, levels in named.items()})
    (with_sham,) = load(folder).comparisons()
    record = json.loads((folder / "study.json").read_text())
    for control in record.pop("controls"):
        (folder / control["run"] / "status.json").unlink()
        (folder / control["run"]).rename(tmp_path / control["run"])
    (folder / "study.json").write_text(json.dumps(record))
    (without,) = load(folder).comparisons()
    assert len(with_sham.controls) == 1 and not without.controls
    assert with_sham.columns == without.columns and with_sham.rows == without.rows
    assert questions(with_sham) == questions(without)
    for one, other in zip(comparison_effects(with_sham), comparison_effects(without), strict=True):
        assert one.row() == pytest.approx(other.row(), nan_ok=True)


def test_a_sham_without_its_record_is_no_seed_of_an_arm(study):
    folder = study("grid", GRID, {key: levels[0] for key, levels in GRID.items()})
    (before,) = load(folder).comparisons()
    (folder / "study.json").unlink()
    found = load(folder)
    (comparison,) = found.comparisons()
    for one, other in zip(comparison_effects(before), comparison_effects(comparison), strict=True):
        assert one.row() == pytest.approx(other.row(), nan_ok=True)
    assert len(found.uncontrolled) == len(SEEDS)
    assert all("draw1" in one and "study.json" in one for one in found.uncontrolled)


def test_an_arm_may_be_the_control_of_another(stored_design, tmp_path):
    named = {"parts.plain": ("false", "true"), "parts.width": ("1000", "500")}
    folder = stored_design("leave_one_out", named, lambda *_: 0.5, "arch=20", seeds=SEEDS)
    (before,) = load(folder).comparisons()
    runs = {
        (
            store.Stored(path).config()["parts"].get("width"),
            store.Stored(path).config()["seed"],
        ): path
        for path in store.run_directories(folder)
        if not store.Stored(path).config()["parts"]["plain"]
    }
    facts = {"part": "width", "level": 500, "own": 900, "target": 1000, "parameters": 1000}
    beside = []
    for seed in SEEDS:
        of, wide = runs[1000, seed].name, runs[500, seed].name
        beside.append(Control("capacity", wide, of, facts | {"against": of}))
    controls.put(folder, beside)
    found = load(folder)
    assert len(found.all_runs) == len(found.runs) == 12
    (comparison,) = found.comparisons()
    (control,) = comparison.controls
    assert (control.kind, len(control.runs)) == ("capacity", 4)
    assert len(comparison.checked) == 12 and audit(comparison).runs == audit(before).runs
    for one, other in zip(comparison_effects(before), comparison_effects(comparison), strict=True):
        assert one.row() == pytest.approx(other.row(), nan_ok=True)
    write_report(folder)
    assert "### Controls" in (folder / "report.md").read_text()


def test_the_history_is_of_all_runs_and_says_which_are_of_arms(study):
    found = load(study("grid", GRID, {key: levels[0] for key, levels in GRID.items()}))
    shams = set(found.control_runs["run"])
    assert len(shams) == len(SEEDS) and not shams & set(found.runs["run"])
    assert list(found.all_runs["run"]) == list(found.history["run"].unique())
    of_arms = found.history[found.history["run"].isin(found.runs["run"])]
    assert set(of_arms["run"]) == set(found.runs["run"]) == set(found.all_runs["run"]) - shams


def test_its_difference_is_that_of_its_own_seeds_alone_and_in_a_family_of_one(study):
    first = {"parts.plain": "false", "parts.se": "true"}
    (comparison,) = load(study("leave_one_out", LEAVE_ONE_OUT, first)).comparisons()
    (effect,) = control_effects(comparison)
    pairs = [_noise(seed, 7, 7) - _noise(seed, 2, 0) for seed in SEEDS]
    assert effect.differences.to_numpy() == pytest.approx(pairs)
    assert effect.family == 1 and effect.n == len(SEEDS)
    assert all(one.family == 2 for one in comparison_effects(comparison))
    table = controls_table(comparison)
    assert list(table["control"]) == ["", "sham"]
    assert table["difference"].iloc[1] == pytest.approx(np.mean(pairs))


def test_the_report_says_it_once_at_the_top_and_shows_it_as_a_control(study):
    first = {"parts.plain": "false", "parts.se": "true"}
    folder = study("leave_one_out", LEAVE_ONE_OUT, first)
    write_report(folder)
    written = (folder / "report.md").read_text()
    top, _, rest = written.partition("## digits")
    assert top.count("By the draw of the initial weights alone, reference changes by") == 1
    assert "| reference, sham" in rest and "### Controls" in rest
    assert "(16 runs)" in rest and "16 runs: 16 complete" in top
    found = json.loads((folder / "report.json").read_text())
    assert [row["control"] for row in found["comparisons"][0]["controls"]["table"]] == ["", "sham"]
    assert len(found["runs"]) == 16
    assert len(found["comparisons"][0]["questions"]) == 2
    assert "reference, sham" in (folder / "report.html").read_text()
    assert (folder / "report" / "controls-digits.csv").exists()
    # It helps and hurts nobody.
    lines = [line for line in written.splitlines() if "sham" in line]
    assert lines and not any(word in line for line in lines for word in ("helps", "hurts"))


@pytest.mark.parametrize("fixed", [True, False], ids=["by the network", "by the seed"])
def test_a_sham_that_starts_from_the_same_weights_says_nothing_of_their_draw(fixed, study):
    first = {"parts.plain": "false", "parts.se": "true"}
    initial = (lambda seed, sham: [["0f", 9]]) if fixed else (lambda seed, sham: [[f"{seed}", 9]])
    folder = study("leave_one_out", LEAVE_ONE_OUT, first, initial=initial)
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert "The sham of reference started from the same weights as reference, because" in text
    assert "By the draw of the initial weights alone" not in text
    said = "The same weights at every seed, because the network sets them itself: reference, "
    assert (said in text) == fixed


def test_a_sham_has_one_budget_with_the_arms_and_leaves_holes(study):
    first = {"parts.plain": "false", "parts.se": "true"}
    folder = study("leave_one_out", LEAVE_ONE_OUT, first, missing=(3,))
    (comparison,) = load(folder).comparisons()
    assert audit(comparison).passes
    assert list(audit(comparison).holes) == ["reference, sham: no seed 3"]
    name = comparison.controls[0].runs["run"].iloc[0]
    result = json.loads((folder / name / "result.json").read_text())
    durable.write_json(folder / name / "result.json", result | {"steps": 1})
    (comparison,) = load(folder).comparisons()
    assert not audit(comparison).passes


def test_a_failed_sham_is_said_and_takes_nothing_from_the_arms(study):
    first = {"parts.plain": "false", "parts.se": "true"}
    folder = study("leave_one_out", LEAVE_ONE_OUT, first, state=store.FAILED)
    (comparison,) = load(folder).comparisons()
    assert len(audit(comparison).holes) == len(SEEDS)
    write_report(folder)
    said = "No seed has a score of both reference and its sham."
    assert said in (folder / "report.md").read_text()
    assert len(arms_table(comparison)) == 3


def test_a_run_that_a_design_asks_for_too_is_its_arm(study):
    first = {"parts.plain": "false", "parts.se": "true"}
    folder = study("leave_one_out", LEAVE_ONE_OUT, first)
    loaded = load(folder)
    arm = loaded.runs["run"].iloc[0]
    controls.put(folder, [Control("sham", arm, loaded.runs["run"].iloc[1])])
    assert len(load(folder).runs) == len(loaded.runs)


def test_claims_and_exports_know_controls(study):
    first = {"parts.plain": "false", "parts.se": "true"}
    folder = study("leave_one_out", LEAVE_ONE_OUT, first)
    loaded = load(folder)
    found = exported(loaded)
    assert sorted(run.arm for run in found.runs).count("reference, sham") == len(SEEDS)
    assert not claimed(loaded).answers


def test_a_sham_is_significant_in_about_one_study_of_twenty(study):
    """A thousand studies of five seeds that differ in noise alone.

    At 0.05 exactly, more than 68 of 1,000 happen in less than one of 200 repetitions.
    """
    first = {"parts.plain": "false", "parts.se": "true"}
    (comparison,) = load(study("leave_one_out", LEAVE_ONE_OUT, first)).comparisons()
    (effect,) = control_effects(comparison)
    (p,) = paired_t_p(effect.differences.to_numpy()[None])
    assert effect.p_holm == effect.p == pytest.approx(p)
    rng = np.random.default_rng(1)
    differences = rng.normal(0, 0.01, (1000, 5)) - rng.normal(0, 0.01, (1000, 5))
    assert 32 <= (paired_t_p(differences) <= ALPHA).sum() <= 68


@pytest.fixture
def with_capacity(study, stored_run):
    """The same with the arm without se widened: as good as the reference, give or take."""
    first = {"parts.plain": "false", "parts.se": "true"}
    folder = study("leave_one_out", LEAVE_ONE_OUT, first, noise=0.1)
    found = []
    for seed in SEEDS:
        runs = [path for path in store.run_directories(folder) if f"-s{seed}-" in path.name]
        of = next(path for path in runs if _is(path, {**first, "parts.se": "false"}))
        full = next(path for path in runs if _is(path, first))
        words = ("parts.se=false", "parts.width=9", f"seed={seed}")
        wide = stored_run(*words, val_accuracy=0.8 + 0.001 * seed)
        facts = {"against": full.name, "part": "width", "level": 9}
        facts |= {"own": 900, "target": 1000, "parameters": 1000}
        found.append(Control("capacity", wide.name, of.name, facts))
    controls.put(folder, found)
    return folder


CLAIMS = {
    "reference > without se by 1": "HOLDS",
    "reference > without se, capacity by 4 points": "FAILS",
    "without se, capacity > without se by 1": "HOLDS",
    "se=true = se=false, capacity within 4": "HOLDS",
    "reference = reference, sham within 5": "HOLDS",
    "residual = residual, sham at epochs=5 within 5": "HOLDS",
    "reference > without se, lesion": "controls there are: 'reference, sham', 'without",
    "se=true > se=false, sham": "se true and se false, sham do not stand side by side",
    "reference > without foo": "arms: reference, plain, without se",
    "reference > without se, shame": "behind a comma: sham, capacity, lesion",
}


def test_claims_name_arms_and_controls_as_the_table_does(with_capacity, monkeypatch):
    text = "".join(f"- '{text}'\n" for text in CLAIMS)
    (with_capacity / "claims.yaml").write_text(text)
    loaded = load(with_capacity)
    (comparison,) = loaded.comparisons()
    names = [control.name for control in comparison.controls]
    assert names == ["reference, sham", "without se, capacity"]
    assert controls_table(comparison)["trained"].iloc[-1] == "widened to width 9, trained"
    answers = {one.claim.text: one for one in claimed(loaded).answers}
    for said, expected in CLAIMS.items():
        one = answers[said]
        assert expected == one.verdict or (one.verdict == "OPEN" and expected in one.reason)
    sham = answers["reference = reference, sham within 5"].effect
    (effect, _) = control_effects(comparison)
    assert sham.mean == pytest.approx(-effect.mean) and sham.n == len(SEEDS)
    assert sham.name == "reference - reference, sham" and sham.family == len(CLAIMS)

    def none(*_, **__):
        raise UserError("no arm of that design is among these runs.")

    # Claims about levels need no design.
    monkeypatch.setattr(type(loaded), "comparisons", none)
    answers = {one.claim.text: one.verdict for one in claimed(loaded).answers}
    assert answers["se=true = se=false, capacity within 4"] == "HOLDS"
    assert answers["reference > without se by 1"] == "OPEN"


def test_too_few_seeds_for_an_interval_are_not_called_no_spread(study):
    first = {"parts.plain": "false", "parts.se": "true"}
    folder = study("leave_one_out", LEAVE_ONE_OUT, first)
    asked.look(folder, len(SEEDS), SEEDS)
    (comparison,) = load(folder).comparisons()
    said = [row[-1] for row in control_cells(comparison).rows]
    assert "(n=4, too few seeds for an interval)" in said[-1]
    assert "(n=4, too few seeds for an interval)" in " ".join(arm_cells(comparison).rows[1])


def test_controls_without_a_score_by_a_metric_are_not_called_failed(stored_run, tmp_path):
    beside = []
    for seed in range(3):
        runs = {
            plain: stored_run("arch=20", f"plain={plain}", f"seed={seed}", val_accuracy=0.5)
            for plain in ("true", "false")
        }
        sham = stored_run("arch=20", "plain=true", f"seed={seed}", "draw=1", val_accuracy=0.49)
        beside.append(Control("sham", sham.name, runs["true"].name))
        lesion = runs["false"] / "lesions" / "abcdef01"
        lesion.mkdir(parents=True)
        durable.write_json(lesion / "result.json", {"val_accuracy": 0.2, "val_loss": 3.0})
        full = runs["false"].name
        name = f"{full}/lesions/abcdef01"
        beside.append(Control("lesion", name, runs["true"].name, {"against": full}))
    folder = tmp_path / "main"
    asked.add(folder, ["parts.plain"])
    controls.put(folder, beside)
    (comparison,) = load(folder).measured("log_loss").comparisons()  # Which wants predictions.
    said = sentences(comparison)
    assert "No seed has a score of both plain and its sham." in said
    assert "Lesion: no seed has a score of both residual and it made plain after training." in said
    notes = controls_table(comparison)["note"]
    assert set(notes) == {"3 without a score"}
