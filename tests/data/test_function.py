import json
import os
import sys
import textwrap

import numpy as np
import pytest

from ablation.data import cache, sources
from sources_support import config, examples, no_progress, one_line


@pytest.fixture
def function(tmp_path, monkeypatch):
    """Writes a file with a function `load`; returns the configuration that calls it."""
    monkeypatch.chdir(tmp_path)

    def write(body, name="my_data", **keys):
        lines = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        head = "import numpy as np\nX = np.arange(240, dtype=np.uint8).reshape(20, 4, 3)\n"
        head += "Y = np.arange(20) % 2\n"
        (tmp_path / f"{name}.py").write_text(f"{head}\ndef load():\n{lines}\n")
        return config("function", **({"name": f"{name}.py:load"} | keys))

    return write


@pytest.mark.parametrize(
    ("returned", "counts"),
    [
        ("X, Y", (16, 4)),
        ("{'x': X, 'y': Y}", (16, 4)),
        ("X[:14], Y[:14], X[14:], Y[14:]", (14, 6)),
        ("(X[:14], Y[:14]), (X[14:], Y[14:])", (14, 6)),
        ("X.tolist(), ['cat' if y else 'dog' for y in Y]", (16, 4)),
        ("X, np.array(['cat' if y else 'dog' for y in Y], object)", (16, 4)),
    ],
)
def test_what_a_function_returns_is_the_data_set(returned, counts, function, request):
    module = f"my_data{abs(hash(request.node.name))}"
    source = sources.open_source(function(f"return {returned}", module))
    assert tuple(len(examples(source, split)) for split in sources.SPLITS) == counts


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 1 / 0", ["line 6: ZeroDivisionError: division by zero"]),
        ("raise SystemExit('no')", ["line 6: SystemExit: no"]),
        ("import no_such_module", ["line 6: ModuleNotFoundError"]),
        ("return open('no.csv')", ["line 6: FileNotFoundError", "no.csv"]),
        ("return None", ["returned NoneType", "it must return x, y"]),
        ("return X, Y, X", ["returned tuple of 3"]),
        ("return X", ["returned ndarray"]),
        ("return {'images': X}", ["or x and y", "it has images"]),
        ("return {'x': X, 'y': Y, 'groups': Y}", ["returned groups too", "classes, group, x, y."]),
        ("return np.ma.masked_equal(X, 7), Y", ["x is masked in places", "leave such"]),
        ("return X, Y[:3]", ["x has 20 images and y 3 labels"]),
        ("return X, Y - 1", ["y[0] is -1"]),
        ("return X / np.nan, Y", ["x[0] holds NaN"]),
        ("return X, Y * 0", ["two classes"]),
        ("return X, [object()] * 20", ["y holds Python objects", "[0] is <object object"]),
        ("return X, np.array(['a', None] * 10, object)", ["[1] is None (NoneType)"]),
        ("return [[1], [2, 3]], Y", ["x has rows of 1 to 2 numbers", "by 0 behind their last"]),
        ("return [[1], 2], Y", ["x is no array"]),
        (
            "import pandas as pd\nreturn pd.DataFrame({'a': Y / 2, 'b': ['u'] * 20}), Y",
            ["x holds numbers and texts: column b has 'u'"],
        ),
        ("return np.array([[1, 'u']] * 20, object), Y", ["numbers and texts: [0, 1] has 'u'"]),
        (
            "return np.arange(-200, 200).reshape(20, 5, 4), Y",
            ["pixels are 0 or more; the least is -200. If these are signals, say dataset.kind"],
        ),
        ("return {'x': [X, X], 'y': Y}", ["x is a list of 2, and a network has one input"]),
        ("return {'x': (X, X[:, 0]), 'y': Y.tolist()}", ["x is a tuple of 2", "np.concatenate"]),
        ("return {'x': {'a': X, 'b': X}, 'y': Y}", ["x is a dict of 2", "one input"]),
        ("return [X[:14], X[:14]], Y[:14], X[14:], Y[14:]", ["x_train is a list of 2"]),
        ("return X[:0], Y[:0]", ["x holds no images"]),
    ],
)
def test_a_broken_function_is_refused_in_one_line_with_its_own_error(
    body, words, function, request
):
    module = f"broken{abs(hash(request.node.name))}"
    dataset = function(body, module)
    message = one_line(lambda: sources.open_source(dataset))
    for word in (f"{module}.py", *words):
        assert word in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no.py:load", ["There is no file"]),
        ("my_data.py:no", ["has no function 'no'", "load"]),
        ("my_data.py", ["names no function"]),
        ("my_data:load:", ["is not the name of a function"]),
    ],
)
def test_a_function_that_is_not_there_is_refused_in_one_line(name, words, function):
    function("return X, Y")
    message = one_line(lambda: sources.state(config("function", name=name)))
    for word in words:
        assert word in message


def test_the_code_is_read_but_not_run_until_data_is_prepared(function, tmp_path):
    dataset = function("open('ran', 'w')\nreturn X, Y", "unrun")
    assert not cache.is_ready(dataset, tmp_path / "cache")
    assert not (tmp_path / "ran").exists()


def test_code_that_changes_is_called_again_and_a_comment_is_not(function):
    before = sources.state(function("return X, Y", "edited"))
    assert sources.state(function("return X, Y  # Why", "edited")) == before
    assert sources.state(function("return X[::-1], Y", "edited")) != before


def test_a_file_that_the_function_reads_is_watched(function, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(240, dtype=np.uint8).reshape(20, 4, 3))
    body = "open('log.txt', 'w').write('here')\nreturn np.load('x.npy'), Y"
    dataset = function(body, "reader")
    built = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert list(built.meta["read"]) == [os.path.realpath(tmp_path / "x.npy")]
    assert cache.is_ready(dataset, tmp_path / "cache")
    np.save(tmp_path / "x.npy", np.arange(240, dtype=np.uint8)[::-1].reshape(20, 4, 3))
    assert not cache.is_ready(dataset, tmp_path / "cache")
    again = cache.prepare(dataset, tmp_path / "cache", no_progress)
    assert again.fingerprint != built.fingerprint


@pytest.mark.parametrize(
    "lists", ["Path('x').glob('*.npy')", "map(Path('x').joinpath, listdir('x'))"]
)
def test_a_file_that_appears_in_a_folder_that_the_function_lists_is_read(lists, function, tmp_path):
    (tmp_path / "x").mkdir()
    body = "from os import listdir\nfrom pathlib import Path\n"
    body += f"x = np.concatenate([np.load(one) for one in sorted({lists})])\n"
    dataset = function(f"{body}return x, np.arange(len(x)) % 2", "lister")
    for count in (20, 40):
        np.save(tmp_path / "x" / f"{count}.npy", np.arange(240, dtype=np.uint8).reshape(20, 4, 3))
        assert not cache.is_ready(dataset, tmp_path / "cache")
        built = cache.prepare(dataset, tmp_path / "cache", no_progress)
        assert sum(map(built.count, sources.SPLITS)) == count
        assert list(built.meta["listed"]) == [os.path.realpath(tmp_path / "x")]
        assert cache.is_ready(dataset, tmp_path / "cache")


def test_what_appears_while_runs_train_in_a_folder_that_was_listed_takes_no_data_away(
    function, tmp_path
):
    dataset = function("from pathlib import Path\nlist(Path().iterdir())\nreturn X, Y", "here")
    cache.prepare(dataset, tmp_path / "cache", no_progress)
    (tmp_path / "runs").mkdir()
    assert cache.find(dataset, tmp_path / "cache")
    assert not cache.is_ready(dataset, tmp_path / "cache")


@pytest.mark.parametrize("where", ["'data.npz'", "__file__.replace('my_beside.py', 'data.npz')"])
def test_equal_code_in_two_folders_reads_what_lies_in_each(where, tmp_path, monkeypatch):
    code = f"import numpy as np\ndef load():\n    a = np.load({where})\n    return a['x'], a['y']\n"
    found = []
    for folder, count in (("a", 20), ("b", 50)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "my_beside.py").write_text(code)
        x, y = np.arange(count * 12).reshape(count, 4, 3), np.arange(count) % 2
        np.savez(tmp_path / folder / "data.npz", x=x, y=y)
        monkeypatch.chdir(tmp_path / folder)
        monkeypatch.delitem(sys.modules, "my_beside", raising=False)
        dataset = config("function", name="my_beside.py:load")
        built = cache.prepare(dataset, tmp_path / "cache", no_progress)
        found.append(sum(map(built.count, sources.SPLITS)))
    assert found == [20, 50]


def test_chance_in_a_function_draws_the_same_every_time(function, tmp_path):
    dataset = function("return np.random.randint(0, 256, (20, 4, 3)).astype('u1'), Y", "drawing")
    built = [cache.prepare(dataset, tmp_path / name, no_progress) for name in ("a", "b")]
    assert built[0].fingerprint == built[1].fingerprint


STUDY = """
import numpy as np

def load():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = rng.integers(0, 128, (60, 8, 12, 5)) + 128 * y[:, None, None, None]
    x[50] = x[10]
    return x[:48], y[:48], x[48:], y[48:]

def broken():
    return load()[5]

def of_people():
    names = "x_train", "y_train", "x_val", "y_val"
    who = {"group_train": np.arange(48) // 2, "group_val": 30 + np.arange(12) // 2}
    return dict(zip(names, load())) | who
"""


def test_a_study_of_a_function_is_trained_and_reported(cli, tmp_path):
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "wide.py").write_text(STUDY)
    keys = ("arch=20", "epochs=1", "recipe.batch_size=24", "dataset=function")
    keys += ("dataset.augment=crop_flip",)
    broken = cli(*keys, "dataset.name=sets/wide.py:broken", cwd=tmp_path)
    assert broken.returncode == 2 and "Traceback" not in broken.stderr
    assert "wide.py, line 12: IndexError: tuple index out of range" in broken.stderr
    assert not (tmp_path / "runs").exists()
    done = cli(*keys, "dataset.name=sets/wide.py:of_people", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = "1 of 12 validation images is also a training image"
    assert said in done.stderr and said in done.stdout
    report = (tmp_path / "runs" / "main" / "report.md").read_text()
    assert "pictures show the first three as red, green and blue" in report
    (result,) = tmp_path.glob("runs/main/*/result.json")
    assert json.loads(result.read_text())["grouped"] is True
    again = cli(*keys, "dataset.name=sets/wide.py:of_people", cwd=tmp_path)
    assert "preparing" not in again.stderr and "0 to train" in again.stderr + again.stdout
