"""Where the program reads and writes, whatever the home folder and the working folder are."""

import os
import sys

import pytest

from ablation import config as configuration
from ablation.config import UserError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cache_dir="], ["cache_dir= has no value"]),
        (["runs_dir="], ["runs_dir= has no value"]),
        (["cache_dir='~nobody-of-that-name/cache'"], ["cache_dir=~nobody-of-that-name/cache"]),
        (["runs_dir='~nobody-of-that-name/runs'"], ["runs_dir=~nobody-of-that-name/runs"]),
        (["-m", "seed=0,1", "runs_dir='~nobody-of-that-name/runs'"], ["runs_dir=~nobody"]),
        ([f"runs_dir={__file__}"], ["test_folders.py is a file; name a folder."]),
        (["runs_dir=/dev/null"], ["runs_dir=/dev/null: /dev/null is no folder; name a folder."]),
        ([f"cache_dir={__file__}/x"], ["/x: ", "test_folders.py is a file; name a folder."]),
        (["dataset=folder", "dataset.path='~nobody-of-that-name/x'"], ["dataset.path=~nobody"]),
    ],
)
def test_a_folder_that_cannot_be_named_is_one_line_and_leaves_nothing(
    cli, tmp_path, arguments, words
):
    done = cli("arch=20", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not list(tmp_path.iterdir())


def test_a_home_that_is_not_known_is_named_with_the_key(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # As without HOME and an entry.
    with pytest.raises(UserError, match=r"cache_dir=~/cache .* name a folder without ~"):
        configuration.expanded("cache_dir", "~/cache")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write into")
def test_a_home_that_cannot_be_written_is_told_without_a_traceback(cli, tmp_path):
    done = cli("arch=20", cwd=tmp_path, HOME="/proc/none", ABLATION_CACHE_DIR="")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "/proc/none" in done.stderr and "cache_dir" in done.stderr
    assert not list(tmp_path.iterdir())


def test_an_empty_cache_variable_is_as_good_as_none(cli, tmp_path):
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    done = cli("recipe.batch_size=2000", cwd=work, HOME=str(home), ABLATION_CACHE_DIR=" ")
    assert "1437 training images" in done.stderr
    assert not list(work.iterdir())
    assert list((home / ".cache" / "ablation").glob("digits-*"))


def test_a_working_folder_that_is_gone_is_one_line(cli, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    done = cli("arch=20", cwd=gone, before=gone.rmdir)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "working folder" in done.stderr
