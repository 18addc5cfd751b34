import shutil
from dataclasses import replace

from ablation.analysis import reading
from ablation.analysis.metrics import ACCURACY
from ablation.records import asked, controls, durable, store
from ablation.records.controls import Control
from ablation.report import markdown
from ablation.report.difference import difference
from support import current_sources


def compare(one, other):
    return markdown.compared(difference(one, other))


def test_protocol_differences_come_first_then_every_cell(stored_run, tmp_path):
    stored_run("study=a", "plain=true", val_accuracy=0.5)
    stored_run("study=a", "plain=false", val_accuracy=0.75)
    stored_run("study=b", "plain=true", "epochs=6", val_accuracy=0.6)
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    assert "| epochs" in text and text.index("| epochs") < text.index("| dataset")
    lines = [line for line in text.splitlines() if line.startswith("| digits")]
    assert any(
        "50.00 (n=1)" in line and "60.00 (n=1)" in line and "+10.00" in line for line in lines
    )
    assert any("75.00 (n=1)" in line and "missing" in line for line in lines)


def test_a_study_equals_its_copy(stored_run, tmp_path):
    stored_run("study=a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "copy"))
    assert "The same keys, data, code and machine." in text
    assert "+0.00" in text


def test_a_change_of_code_is_a_difference_of_protocol(stored_run, tmp_path):
    stored_run("study=a")
    directory = stored_run("study=b")
    durable.write_json(directory / "provenance.json", {"fingerprint": "d1", "source_sha256": "new"})
    assert "source_sha256" in compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))


def test_other_factors_are_cells_and_never_averaged(stored_run, tmp_path):
    stored_run("study=a", "recipe.learning_rate=0.1", val_accuracy=0.9)
    stored_run("study=a", "recipe.learning_rate=0.2", val_accuracy=0.1)
    stored_run("study=b", "recipe.learning_rate=0.1", val_accuracy=0.9)
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    assert "50.00" not in text
    assert "+0.00" in text


def test_a_failed_cell_is_shown(stored_run, tmp_path):
    stored_run("study=a", val_accuracy=0.9)
    stored_run("study=b", state=store.FAILED, reason="why")
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    assert any("90.00 (n=1)" in line and "failed" in line for line in text.splitlines())


def test_a_swept_recipe_meets_the_same_recipe_alone(stored_run, tmp_path):
    for recipe in ("sgd", "adam"):
        stored_run("study=a", f"recipe={recipe}", val_accuracy=0.5)
    asked.add(tmp_path / "a", ["recipe"])
    stored_run("study=b", val_accuracy=0.7)
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    (line,) = [line for line in text.splitlines() if "| sgd " in line and "(n=1)" in line]
    assert "+20.00" in line


def test_scores_of_two_kinds_are_not_subtracted(stored_run, tmp_path):
    stored_run("study=a", val_accuracy=0.5)
    stored_run("study=b", val_accuracy=8.17)
    error = replace(ACCURACY, name="mae", title="error", unit="kg", points="kg", scale=1)
    other = replace(reading.load(tmp_path / "b"), own_metric=error)
    text = compare(reading.load(tmp_path / "a"), other)
    (row,) = [line for line in text.splitlines() if line.startswith("| digits")]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[-4:-1] == ["50.00 % (n=1)", "8.17 kg (n=1)", ""]
    assert "Scores after the final epoch" in text


def test_what_both_studies_have_on_other_arms_is_a_difference_of_protocol(stored_run, tmp_path):
    threads = {"a": (1, 2), "b": (2, 1)}
    for study, of_arms in threads.items():
        for plain, count in zip(("true", "false"), of_arms, strict=True):
            stored_run(f"study={study}", f"plain={plain}", provenance={"threads": count})
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    assert "The same keys" not in text
    rows = [line.split() for line in text.splitlines() if line.startswith("| provenance.threads")]
    assert sorted(row[3:] for row in rows) == [
        ["plain", "plain", "|", "1", "|", "2", "|"],
        ["plain", "residual", "|", "2", "|", "1", "|"],
    ]


def test_runs_that_no_cell_has_are_counted(stored_run, tmp_path):
    stored_run("study=a")
    arm = stored_run("study=b")
    sham = stored_run("study=b", "draw=1")
    asked.add(tmp_path / "b", ["parts.plain"])
    controls.put(tmp_path / "b", [Control("sham", sham.name, arm.name)])
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    assert "In no cell: 1 run of controls of b." in text


def test_cells_are_told_apart_by_as_few_columns_as_can(stored_run, tmp_path):
    for study in ("a", "b"):
        for plain in ("true", "false"):  # By which the kind of the shortcut follows.
            stored_run(f"study={study}", f"plain={plain}", "arch=20")
    stored_run("study=b", "shortcut=projection", "arch=32")
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    (head,) = [line for line in text.splitlines() if line.startswith("| dataset")]
    assert [cell.strip() for cell in head.split("|")][1:-1] == [
        *("dataset", "arch", "plain"),
        *("a", "b", "difference"),
    ]
    stored_run("study=b", "shortcut=projection", "arch=20")
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    (head,) = [line for line in text.splitlines() if line.startswith("| dataset")]
    assert "| shortcut" in head


def test_what_each_study_has_one_of_is_a_difference_of_protocol(stored_run, tmp_path):
    for study, arch, score in (("a", 20, 0.5), ("b", 32, 0.6)):
        for plain in ("true", "false"):
            stored_run(f"study={study}", f"arch={arch}", f"plain={plain}", val_accuracy=score)
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["arch", "20", "32"] in rows
    assert ["digits", "plain", "50.00 (n=1)", "60.00 (n=1)", "+10.00"] in rows
    stored_run("study=a", "arch=32", "plain=true", val_accuracy=0.7)
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["digits", "20", "plain", "50.00 (n=1)", "missing", ""] in rows
    assert ["digits", "32", "plain", "70.00 (n=1)", "60.00 (n=1)", "-10.00"] in rows


def test_an_edit_of_a_network_s_own_file_is_a_difference_of_protocol(
    stored_run, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    network = "def build(input_shape, classes, *, se: bool = True):\n    return {}\n"
    for study, returned in (("a", "1"), ("same", "1"), ("b", "2")):
        (tmp_path / "net.py").write_text(network.format(returned))
        for se in ("true", "false"):
            stored_run("arch=net.py:build", f"parts.se={se}", f"study={study}")
        asked.add(tmp_path / study, ["parts.se"], current_sources(tmp_path / study))
    a, same, b = (reading.load(tmp_path / study) for study in ("a", "same", "b"))
    assert "The same keys, data, code and machine." in compare(a, same)
    text = compare(a, b)
    assert "The same keys" not in text
    assert "| code of net (net.py:build) |" in text
    assert text.count("+0.00") == 2  # And the arms are told apart by their parts.
    # Runs of an earlier edition are left out, and of which study they were is said.
    for directory in list(store.run_directories(tmp_path / "a"))[:1]:
        shutil.copytree(directory, tmp_path / "b" / "earlier-digits-s0-00000000")
    said = compare(a, reading.load(tmp_path / "b"))
    assert "- b: net.py:build was edited since 1 run was trained, which is left out" in said


def test_what_code_of_one_s_own_has_read_is_a_difference_of_protocol(stored_run, tmp_path):
    for study, digest in (("a", "0" * 64), ("b", "1" * 64)):
        stored_run(f"study={study}", provenance={"read": {"mask.npy": digest}})
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["the file mask.npy", "0" * 12, "1" * 12] in rows


def test_a_spread_is_that_of_the_seeds(stored_run, tmp_path):
    for seed, score in enumerate((0.5, 0.6, 0.7)):  # Of which 10 is the standard deviation.
        stored_run("study=a", f"seed={seed}", val_accuracy=score)
    stored_run("study=b", val_accuracy=0.8)
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["60.00 ± 10.00 (n=3)", "80.00 (n=1)", "+20.00"] in [row[-3:] for row in rows]


def test_a_part_that_follows_from_others_is_a_difference_of_protocol(stored_run, tmp_path):
    for study, shortcut in (("a", "zero_pad"), ("b", "projection")):
        stored_run(f"study={study}", "arch=20", "plain=true")
        stored_run(f"study={study}", "arch=20", "plain=false", f"shortcut={shortcut}")
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "b"))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["parts.shortcut of plain residual", "zero_pad", "projection"] in rows
    assert "missing" not in text and text.count("+0.00") == 2
    # In an arm that the other study has not, it is no difference of anything.
    stored_run("study=c", "arch=20", "plain=true")
    text = compare(reading.load(tmp_path / "a"), reading.load(tmp_path / "c"))
    assert "shortcut" not in text and text.count("missing") == 1
