"""Studies exported to Weights & Biases: offline runs, read back from their files."""

import json
import struct
import types
from dataclasses import replace

import pytest

from ablation.config import UserError
from ablation.records import store
from ablation.text import visible
from nasty import NAMES
from stored_exports import finish, history, passing, rows, run_in, write_history

pytest.importorskip("wandb", reason="needs the extra wandb")

from wandb.proto import wandb_internal_pb2

from ablation.export import wandb

_BLOCK = 32768


@pytest.fixture
def write(read, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    return lambda project="ablation": wandb.export(read(), "offline", project, passing)


def _records(path):
    """Yields the records of an offline run: a log in blocks, as LevelDB writes it."""
    content, place, record = path.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if _BLOCK - place % _BLOCK < 7:
            place += _BLOCK - place % _BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # Whole, or the last part.
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


def _key(item):
    return item.key or ".".join(item.nested_key)


class _Found:
    """What is in the file of an offline run."""

    def __init__(self, path):
        self.rows, self.summary, self.config = [], {}, {}
        for record in _records(path):
            if record.HasField("run"):
                self.run = record.run
                self.config = {
                    one.key: json.loads(one.value_json) for one in self.run.config.update
                }
            elif record.HasField("history"):
                row = {_key(one): json.loads(one.value_json) for one in record.history.item}
                self.rows.append(row)
            elif record.HasField("summary"):
                for one in record.summary.update:
                    self.summary[_key(one)] = json.loads(one.value_json)
            elif record.HasField("exit"):
                self.exit_code = record.exit.exit_code


@pytest.fixture
def found(tmp_path):
    """Returns what is there, by the names of the runs."""

    def find():
        everything = [_Found(path) for path in (tmp_path / "wandb").glob("offline-run-*/*.wandb")]
        assert len({one.run.display_name for one in everything}) == len(everything)
        return {one.run.display_name: one for one in everything}

    return find


def _files(folder):
    """Every file but the library's logs, which it may write to a little later."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("offline-run-*/**/*")
        if path.is_file() and path.suffix != ".log"
    }


def test_curves_equal_the_history(folder, write, found, tmp_path):
    written = write()
    assert written.changed == 7 and str(tmp_path / "wandb") in written.look
    there = found()
    for directory in store.run_directories(folder):
        expected = history(directory) if (directory / "history.csv").exists() else []
        points = there[directory.name].rows
        assert [(row["_step"], row["epoch"]) for row in points] == [
            (row["epoch"], row["epoch"]) for row in expected
        ]
        for name in store.HISTORY_COLUMNS[1:]:
            assert str([float(row[name]) for row in points]) == str([r[name] for r in expected])


def test_a_run_has_its_configuration_tags_and_results(read, write, found):
    write("study of parts")
    there = found()
    for run in read().runs:
        one = there[run.name]
        assert one.run.project == "study of parts"
        assert one.run.run_group == "main" and one.run.job_type == run.arm
        assert set(one.run.tags) == {run.state, "digits", run.arm}
        assert one.run.notes == run.reason
        assert one.config["ablation"] == run.facts | {"digest": run.digest}
        assert one.config["recipe"]["learning_rate"] == 0.01
        assert one.config["parts"]["plain"] is (run.arm == "arch=20 plain=true")
        assert one.summary.items() >= {**run.final, **run.cost}.items()
        assert one.exit_code == (run.state != store.COMPLETE)
        if run.epochs:
            assert [row["_timestamp"] for row in one.rows] == pytest.approx(run.clock)


def test_what_is_installed_here_is_not_in_it(write, tmp_path):
    write()
    names = {path.name for path in _files(tmp_path)}
    assert {name for name in names if not name.endswith(".wandb")} == {"ablation.json"}


def test_twice_is_as_good_as_once(write, found, tmp_path):
    write()
    before = _files(tmp_path)
    assert len(found()) == 7
    assert write().changed == 0
    assert _files(tmp_path) == before


def test_a_run_that_grew_takes_the_place_of_the_one_before(folder, write, found):
    write()
    before = found()
    directory = run_in(folder, store.INTERRUPTED)
    finish(directory)
    assert write().changed == 1
    after = found()
    assert after.keys() == before.keys()
    one = after[directory.name]
    assert one.run.run_id == before[directory.name].run.run_id
    expected = [row["loss"] for row in history(directory)]
    assert [row["loss"] for row in one.rows] == expected and len(expected) == 5
    assert one.config["ablation"]["state"] == "complete" and one.exit_code == 0
    assert write().changed == 0


def test_a_run_that_was_trained_anew_takes_the_place_of_the_one_before(folder, write, found):
    write()
    directory = run_in(folder, store.COMPLETE)
    write_history(directory, rows(5, seed=77))
    assert write().changed == 1
    points = found()[directory.name].rows
    assert [row["loss"] for row in points] == [row["loss"] for row in rows(5, seed=77)]


def test_another_project_is_another_place(write, tmp_path):
    write("one")
    assert write("two").changed == 7
    assert (write("one").changed, write("two").changed) == (0, 0)
    files = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    projects = [_Found(path).run.project for path in files]
    assert sorted(projects) == 7 * ["one"] + 7 * ["two"]


def test_what_an_export_left_midway_is_put_right(write, found, tmp_path):
    write()
    first, second, *_ = sorted((tmp_path / "wandb").glob("offline-run-*"))
    (first / "ablation.json").unlink()
    (second / "ablation.json").write_text("{")
    assert write().changed == 2
    assert len(found()) == 7


def test_any_name_can_be_exported(read, write, found):
    study = read()
    runs = [
        replace(study.runs[0], name=f"r{place}", arm=visible(name), dataset=visible(name))
        for place, name in enumerate(NAMES.values())
    ]
    odd = replace(study, runs=tuple(runs))
    wandb.export(odd, "offline", "ablation", passing)
    there = found()
    for run in runs:
        assert there[run.name].config["ablation"]["arm"] == run.arm


def test_a_mode_that_is_none_is_told(read):
    with pytest.raises(UserError, match="Allowed: offline, online"):
        wandb.export(read(), "disabled", "ablation", passing)


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server that has runs, which are their identifiers and configurations."""
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    runs = []

    class Api:
        default_entity = "somebody"

        def __init__(self, timeout):
            assert timeout <= 60

        def runs(self, path, filters, per_page, lazy):
            assert path == "somebody/ablation" and filters == {"group": "main"} and not lazy
            if runs:
                yield from runs
            else:
                raise ValueError("no such project")

    monkeypatch.setattr(wandb.wandb, "login", lambda prompt: True)
    monkeypatch.setattr(wandb.wandb, "Api", Api)
    return runs


def test_online_only_what_the_server_lacks_is_sent(read, server, monkeypatch):
    sent = []
    monkeypatch.setattr(wandb, "_log", lambda study, run, *_: sent.append(run))
    study = read()
    written = wandb.export(study, "online", "ablation", passing)
    assert sent == list(study.runs) and written.look.endswith("/somebody/ablation")
    for run in study.runs[1:]:
        known = types.SimpleNamespace(
            id=wandb._identifier(study, run), config={"ablation": {"digest": run.digest}}
        )
        server.append(known)
    server[0].config["ablation"]["digest"] = "another"
    sent.clear()
    assert wandb.export(study, "online", "ablation", passing).changed == 2
    assert sent == list(study.runs[:2])


def test_without_an_account_that_is_said(read, server, monkeypatch):
    monkeypatch.setattr(wandb.wandb, "login", lambda prompt: False)
    with pytest.raises(UserError, match="wandb login"):
        wandb.export(read(), "online", "ablation", passing)


def test_a_server_that_does_not_answer_is_one_line(read, server, monkeypatch):
    def fail(prompt):
        raise RuntimeError("nobody there\nand more")

    monkeypatch.setattr(wandb.wandb, "login", fail)
    with pytest.raises(UserError, match=r"^wandb=online: nobody there$"):
        wandb.export(read(), "online", "ablation", passing)
