import codecs
import io
import sys

import pytest

from ablation import text
from ablation.terminal import accept_any_text, open_console
from nasty import NAMES


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_everything_in_a_readable_name_can_be_seen_and_written(name):
    shown = text.readable(name)
    assert shown.encode() and shown.strip() == shown
    assert not [one for one in shown if one in "\n\r\t\x1b\x00\u202e\u200b"]
    # What was readable is left as it was.
    assert text.readable(shown) == shown
    if name.isprintable() and name.strip() == name:
        assert shown == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", r"a\nb"),
        ("cat ", r"cat\x20"),
        ("\u3000cat", r"\u3000cat"),
        ("a\u202eb", r"a\u202eb"),
        (b"caf\xe9".decode(errors="surrogateescape"), r"caf\xe9"),
        ("a\ud800", r"a\ud800"),
        ("\ufeffcat", r"\ufeffcat"),
        ("می‌خواهم", "می‌خواهم"),
        ("猫 🐈 é", "猫 🐈 é"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(name, shown):
    assert text.readable(name) == shown


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_stream_takes_every_name(name, encoding, monkeypatch):
    streams = [io.TextIOWrapper(io.BytesIO(), encoding, errors="strict") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    accept_any_text()
    for stream in streams:
        stream.write(name)
        stream.flush()
        assert stream.buffer.getvalue()


def test_a_stream_shows_what_it_can_and_spells_out_the_rest():
    assert "é 猫".encode("latin-1", text.READABLE) == b"\xe9 \\u732b"
    assert "é 猫".encode("ascii", text.READABLE) == rb"\xe9 \u732b"
    with pytest.raises(UnicodeDecodeError):
        codecs.decode(b"\xff", "utf-8", text.READABLE)


@pytest.mark.parametrize("name", [":cat:", "[b]x[/b]", "[0.5]", "[/", "a:100:b"])
def test_a_console_shows_markup_as_it_is(name):
    shown = io.StringIO()
    open_console(file=shown).print(name)
    assert shown.getvalue() == f"{name}\n"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_file_can_be_named_after_every_name(name, tmp_path):
    found = text.file_name(name)
    # With what stands around it while it is written.
    path = tmp_path / f".writing-4194304-predictions-{found}-12.png"
    path.touch()
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["digits", "he2015_cifar", "imagenet2012_subset", "猫", "a.b"])
def test_a_usual_name_is_its_own_file_name(name):
    assert text.file_name(name) == name


def test_a_name_that_a_folder_can_have_is_left_whole():
    for name in ("a" * 200, "猫" * 66, "a\udcff"):
        assert text.beginning(name) == name
    assert text.beginning("a" * 201) == "a" * 200
    assert text.beginning("猫" * 67) == "猫" * 66


def test_a_question_asks_for_what_may_have_been_meant():
    allowed = ["mnist_baselines", "mnist_preact", "F1"]
    assert text.did_you_mean("mnist_baseline", allowed) == " Did you mean mnist_baselines?"
    assert text.did_you_mean("f1", allowed, "metric={}".format) == " Did you mean metric=F1?"
    assert text.did_you_mean("mnist_", ["mnist_a", "mnist_b"], most=2).count(" or ") == 1
    assert text.did_you_mean("imagenet", allowed) == ""
