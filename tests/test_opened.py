import json
from pathlib import Path

import pytest

from ablation import opened, source


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opened, "_noted", {})
    (tmp_path / "a.json").write_text("1")
    found = {}
    with opened.watched(found):
        yield found


def test_what_is_read_written_and_listed_is_told_apart(seen, tmp_path):
    Path("a.json").read_text()
    Path("b.txt").write_text("2")
    Path("b.txt").read_text()
    list(Path().iterdir())
    assert seen == {tmp_path / "a.json": True, tmp_path / "b.txt": False, tmp_path: True}


def test_nothing_is_seen_of_python_itself_or_afterwards(tmp_path):
    found = {}
    with opened.watched(found):
        Path(json.__file__).read_text()
        Path("/proc/self/stat").read_text()
        Path(tmp_path / "gone").touch()
        Path(tmp_path / "gone").unlink()
    (tmp_path / "later").touch()
    assert not found


def test_an_import_lists_no_folder(seen, tmp_path):
    (tmp_path / "importing_cfg.py").write_text("import json\nX = json.load(open('a.json'))\n")
    with opened.noted():
        located = source.locate("importing_cfg.py:X")
        with pytest.raises(Exception, match="has no function"):
            source.load(located)
    assert [*seen] == [tmp_path / "a.json"]
    (tmp_path / "a.json").write_text("2")
    # As it was when it was read.
    assert opened.digests(tmp_path)["a.json"].startswith("6b86b273ff34")
    assert [*opened.digests(tmp_path / "elsewhere")] == [str(tmp_path / "a.json")]
