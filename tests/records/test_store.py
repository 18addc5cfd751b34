from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from ablation.config import UserError
from ablation.records import asked, durable, locks, saves, store
from ablation.records.store import Status
from nasty import NAMES
from support import run_of


def test_a_run_is_named_by_what_it_is(config):
    run = run_of(config("arch=50", "plain=true", "seed=3"), "fingerprint")
    assert run.name.startswith("50-plain-digits-s3-")
    assert run.directory.parts[-3:-1] == ("runs", "main")
    assert len(run.identity) == 8 and int(run.identity, 16) >= 0


@pytest.mark.parametrize(
    ("overrides", "start"),
    [
        (["arch=preact15", "plain=true"], "preact15-plain-"),
        (["arch=preact15"], "preact15-residual-"),
        (["arch=vgg16"], "vgg16-digits-"),
    ],
)
def test_a_run_is_named_by_the_parts_that_its_network_has(config, overrides, start):
    assert run_of(config(*overrides), "fingerprint").name.startswith(start)


@pytest.mark.parametrize(
    ("every", "epochs", "kept"),
    [(0, 5, []), (1, 3, [1, 2, 3]), (2, 5, [2, 4, 5]), (5, 10, [5, 10]), (10, 3, [3])],
)
def test_weights_are_kept_every_so_many_epochs_and_at_the_end(config, every, epochs, kept):
    keys = config(f"keep_checkpoints={every}", f"epochs={epochs}")
    assert saves.kept_epochs(keys) == kept


def test_other_data_is_another_run(config):
    assert run_of(config(), "one").name != run_of(config(), "other").name


def test_a_new_run_is_pending(tmp_path):
    assert store.read_status(tmp_path) == Status(store.PENDING)


def test_a_running_run_that_nobody_trains_was_interrupted(tmp_path):
    store.write_status(tmp_path, Status().begun())
    assert store.read_status(tmp_path).state == store.INTERRUPTED
    with locks.run_lock(tmp_path):
        assert store.read_status(tmp_path).state == store.RUNNING


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "complete", "extra": 1}'])
def test_a_damaged_status_is_named_and_can_be_repaired(tmp_path, content):
    (tmp_path / "status.json").write_text(content)
    status = store.read_status(tmp_path)
    assert status.state == store.INTERRUPTED
    assert "damaged" in status.reason


def test_a_complete_run_with_a_damaged_result_is_not_complete(stored_run):
    directory = stored_run()
    assert store.read_status(directory).state == store.COMPLETE
    result = (directory / "result.json").read_text()
    (directory / "result.json").write_text(result[: len(result) // 2])
    status = store.read_status(directory)
    assert status.state == store.INTERRUPTED
    assert "result.json" in status.reason


def test_factors_grow_with_each_command_and_leave_out_the_seed(tmp_path):
    asked.add(tmp_path, ["arch", "seed"])
    asked.add(tmp_path, ["recipe.learning_rate"])
    asked.add(tmp_path, ["arch"])
    assert asked.factors(tmp_path) == ["arch", "dataset", "recipe.learning_rate"]


def test_damaged_factors_are_named_and_not_forgotten(tmp_path):
    (tmp_path / "study.json").write_text('{"factors"')
    with pytest.raises(UserError, match=r"study\.json is damaged"):
        asked.add(tmp_path, ["arch"])
    assert (tmp_path / "study.json").read_text() == '{"factors"'


def test_forget_keeps_only_the_log_and_the_configuration(stored_run):
    directory = stored_run()
    (directory / "log.txt").write_text("log")
    (directory / "checkpoint").mkdir()
    (directory / "lesions" / "0a1b2c3d").mkdir(parents=True)
    (directory / "weights").mkdir()
    (directory / "weights" / "epoch-1.weights.h5").touch()
    store.forget(directory)
    assert {path.name for path in directory.iterdir()} == {"config.yaml", "log.txt"}


def test_attempts_are_counted():
    status = Status().begun().ended(store.FAILED, "why").begun()
    assert (status.attempt, status.state, status.reason) == (2, store.RUNNING, None)


@pytest.mark.parametrize("name", ["config.yaml", "history.csv", "provenance.json"])
def test_a_complete_run_whose_file_was_altered_is_not_complete(stored_run, name):
    directory = stored_run()
    result = durable.read_json(directory / "result.json")
    durable.write_json(directory / "result.json", result | {"files": store.file_digests(directory)})
    assert store.read_status(directory).state == store.COMPLETE
    (directory / name).write_bytes((directory / name).read_bytes() + b" ")
    status = store.read_status(directory)
    assert status.state == store.INTERRUPTED
    assert f"{name} is not as it was written" in status.reason


def test_a_file_is_read_once_for_the_check_and_for_its_content(stored_run, monkeypatch):
    directory = stored_run()
    result = durable.read_json(directory / "result.json")
    durable.write_json(directory / "result.json", result | {"files": store.file_digests(directory)})
    read = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or original(path))
    stored = store.Stored(directory)
    assert stored.status.state == store.COMPLETE
    assert stored.config()["arch"] == "34"
    assert stored.json("result.json")["val_accuracy"] == 0.5
    assert len(stored.read("history.csv").splitlines()) == 6
    assert sorted(read) == sorted(
        ["config.yaml", "history.csv", "provenance.json", "result.json", "status.json"]
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb:\n  c: [1, 2]\n  d: null\ne: '34'\n",
        "a:\n- 1\n- 2\nb: 1e-3\nc: 0.001\n",
        "a: &x [1]\nb: *x\n",
        "# a comment\na: 1\n\n# another\nb: 2\n",
        "---\na: 1\nb: true\n",
        "a: |\n  x: 1\n  y\nb: 'two\n  lines'\n",
        "a: 1\na: 2\n",
        "'quoted: key': 1\nb: 2\n",
        "- a\n",
        "",
    ],
)
def test_yaml_is_read_as_the_library_reads_it(text):
    for _ in range(2):
        assert store.read_yaml(text) == yaml.safe_load(text)


def test_every_configuration_survives_being_stored(config, tmp_path):
    for overrides in ([], ["dataset=cifar10", "recipe=he2015_cifar"], ["study='null'", "arch=20"]):
        written = asdict(config(*overrides))
        durable.write_yaml(tmp_path / "config.yaml", written)
        assert store.Stored(tmp_path).config() == written


@pytest.mark.parametrize("text", ["{", "a: 1\nb: [\n", "a: 1\nb: *nothing\n", "a: b: c\n"])
def test_what_is_no_yaml_is_an_error(text):
    with pytest.raises(yaml.YAMLError):
        store.read_yaml(text)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_name_survives_being_stored(name, config, tmp_path):
    written = asdict(config())
    written["dataset"] |= {"name": name, "path": name}
    durable.write_yaml(tmp_path / "config.yaml", written)
    assert store.Stored(tmp_path).config() == written
    durable.write_json(tmp_path / "result.json", {"classes": [name]})
    assert durable.read_json(tmp_path / "result.json") == {"classes": [name]}
    durable.write_text(tmp_path / "report.md", name)
    assert (tmp_path / "report.md").read_bytes().decode()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_data_set_gives_a_run_a_directory(name, config, tmp_path):
    keys = config(f"runs_dir={tmp_path}")
    runs = [
        run_of(replace(keys, dataset=replace(keys.dataset, name=one)), "fingerprint")
        for one in (name, f"{name}.", name.swapcase() + "1")
    ]
    for run in runs:
        run.directory.mkdir(parents=True)
    assert store.run_directories(tmp_path / "main") == sorted(run.directory for run in runs)
    assert len({run.name.casefold() for run in runs}) == 3


def test_a_reason_is_kept_as_it_can_be_read():
    status = Status().begun().ended(store.FAILED, "no \x1b[1m\udcff\n")
    assert status.reason == r"no \x1b[1m\xff\n"


def test_a_log_in_any_encoding_is_read(tmp_path):
    (tmp_path / "log.txt").write_bytes(b"caf\xe9\n\xe7\x8c\xab\n")
    assert store.log_tail(tmp_path, 2) == [r"caf\xe9", "猫"]


def test_what_two_commands_record_at_once_is_all_there(tmp_path):
    def add(number):
        for more in range(10):
            name = f"{number}-{more}"
            asked.update(tmp_path, "names", lambda known, name=name: [*(known or []), name])

    with ThreadPoolExecutor() as threads:
        list(threads.map(add, range(4)))
    assert len(set(asked.get(tmp_path, "names"))) == 40


def test_a_record_that_cannot_be_read_is_not_written_over(tmp_path):
    asked.add(tmp_path, ["epochs"])
    (tmp_path / "study.json").write_text('{"factors": ["epochs"')
    before = (tmp_path / "study.json").read_bytes()
    for change in (
        lambda: asked.update(tmp_path, "controls", lambda _: []),
        lambda: asked.look(tmp_path, 3, [0]),
        lambda: asked.add(tmp_path, ["seed"]),
    ):
        with pytest.raises(UserError, match="is damaged"):
            change()
    assert (tmp_path / "study.json").read_bytes() == before


def test_a_configuration_with_a_damaged_byte_is_no_yaml(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"arch: \xff20\n")
    with pytest.raises(yaml.YAMLError):
        store.Stored(tmp_path).config()


def test_what_is_no_study_is_told_with_the_one_that_is_meant(stored_run, tmp_path):
    run = stored_run()
    (tmp_path / "file").write_text("")
    for place, said in {
        tmp_path / "none": "none is no folder; name a study's",
        tmp_path / "file": "file is a file; name a study's",
        run: f"is a run; name its study, {run.parent}",
        tmp_path: f"holds studies, main; name one, such as {tmp_path / 'main'}",
        run / "source": "source is no folder",
    }.items():
        assert said in store.without_runs(place)
