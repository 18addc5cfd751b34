"""Every writer of a report meets every name."""

import copy
import io
import itertools
import re
import shutil
import unicodedata
import warnings
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager, get_data_path, rc_context, rcParams
from matplotlib.figure import Figure
from PIL import Image

from ablation.analysis import reading
from ablation.analysis.claims import Claimed
from ablation.config import ReportConfig
from ablation.data import cache
from ablation.records import asked, durable, store
from ablation.report import markdown, write
from ablation.report.difference import difference
from ablation.report.figures import axes
from ablation.report.figures.fonts import drawing, drawn
from ablation.report.write import write_report
from ablation.text import readable, utf8
from nasty import NAMES


@pytest.fixture
def renamed(stored_run, tmp_path):
    """Stores a study of two arms and two folders, and gives all of it other names."""
    runs = {}
    for data, arm in itertools.product(("one", "other"), ("true", "false")):
        accuracy = 0.25 if arm == "true" else 0.75
        runs[stored_run(f"plain={arm}", data=data, val_accuracy=accuracy)] = data
    # It failed before it saw its data.
    unseen = {"fingerprint": None}
    runs[stored_run("plain=true", "seed=1", state="failed", provenance=unseen)] = "one"
    asked.add(tmp_path / "main", ["dataset.path"])

    def rename(name, other="other", classes=None):
        for directory, data in runs.items():
            config = copy.deepcopy(store.Stored(directory).config())
            config["dataset"] |= {"name": name, "path": name if data == "one" else other}
            durable.write_yaml(directory / "config.yaml", config)
            assert store.Stored(directory).config() == config
            if store.read_status(directory).state != store.COMPLETE:
                store.write_status(directory, store.Status().begun().ended(store.FAILED, name))
                continue
            shown = {"classes": classes or [*map(str, range(9)), name]}
            result = durable.read_json(directory / "result.json")
            durable.write_json(directory / "result.json", result | shown)
        return tmp_path / "main"

    return rename


def test_no_table_and_no_sentence_fails_because_of_a_name(renamed):
    for name, contrast in zip(NAMES.values(), itertools.cycle(("plain", "dataset.path"))):
        loaded = reading.load(renamed(name))
        found = loaded.comparisons(contrast)
        assert loaded.problems == () and len(found) == 1, name
        text = markdown.report(loaded, found, [[]], [[]], Claimed(()))
        text += markdown.summary(loaded, found, [[]], Claimed(()))
        assert text.encode() and not [one for one in text if one in "\r\t\x1b\x00\x7f\u202e"]
        assert markdown.inline(f"failed ({readable(name)})") in text
        files = write._tables(found[0], None, [], "named", "x")
        table = pd.read_csv(io.BytesIO(files["ablation-x.csv"]), keep_default_na=False, dtype=str)
        shown = {one.replace("\x00", "") for one in (*table.columns, *table.to_numpy().flat)}
        assert utf8(name).replace("\x00", "") in shown, name


def test_a_level_is_the_reference_by_its_name(renamed):
    for name in NAMES.values():
        (found,) = reading.load(renamed(name)).comparisons("dataset.path", name)
        assert (found.reference, found.others) == (utf8(name), ["other"])


def test_a_comparison_of_two_studies_takes_every_name(renamed, tmp_path):
    for name in ("$$ [0.5]", "a|b\nc", "猫\udcff", "_x_ "):
        loaded = reading.load(renamed(name))
        shutil.copytree(tmp_path / "main", tmp_path / "copy", dirs_exist_ok=True)
        assert markdown.compared(difference(loaded, reading.load(tmp_path / "copy"))).encode()


def test_every_name_is_drawn_without_a_warning_and_without_a_box():
    with warnings.catch_warnings(), drawing(NAMES.values()):
        warnings.simplefilter("error")
        figure = Figure(figsize=(10, 20))
        for i, name in enumerate(NAMES.values()):
            text = figure.text(0.1, i / len(NAMES), drawn(name))
            assert re.sub("[\u200d\ufe0f]", "", text.get_text()).isprintable()
            figure.text(0.6, i / len(NAMES), drawn(name, 12), weight="bold")
        figure.savefig(io.BytesIO(), format="png")
        written = io.StringIO()
        figure.savefig(written, format="svg")
        with rc_context({"pdf.fonttype": 42}):
            figure.savefig(io.BytesIO(), format="pdf")
        ElementTree.fromstring(written.getvalue())
    assert rcParams["text.parse_math"] and "font.family" in rcParams


def test_a_name_that_the_font_can_draw_is_drawn_as_it_is():
    with drawing(["x"]):
        for name in ("$a$", "$$", r"a\$b", "*a*", "Łódź", "Ελλάδα", "Москва", "<b>", "a_b"):
            assert drawn(name) == name
        assert drawn("cafe\u0301") == "café"
        assert drawn("a\nb ") == r"a\nb\x20"


def test_a_font_that_has_the_glyphs_is_used(monkeypatch):
    own = font_manager.findSystemFonts(get_data_path())
    (path,) = [one for one in own if one.endswith("STIXGeneral.ttf")]
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [path, "/no/such.ttf"])
    (character, missing) = "\u2a6e", "\U0001f408\u200d"
    with drawing(["plain"]):
        assert drawn(character) == r"\u2a6e"
    with warnings.catch_warnings(), drawing([character, missing]):
        warnings.simplefilter("error")
        assert rcParams["font.family"][-1] == "STIXGeneral"
        assert drawn(f"{character} {missing}") == rf"{character} \U0001f408" + "\u200d"
        figure = Figure()
        figure.text(0.5, 0.5, drawn(character))
        figure.savefig(io.BytesIO())


def test_a_shortened_name_has_both_ends_and_no_half_of_a_spelling():
    with drawing(["x"]):
        assert drawn("x" * 20 + "_17", 12) == "xxxxx…xxx_17"
        assert drawn("\x01" * 9, 12) == r"\x01…\x01"
        assert drawn("ab\x01\x02cd", 12) == r"ab\x01\x02cd"


def test_the_legend_names_a_level_that_begins_with_an_underscore():
    figure = Figure(layout="constrained")
    figure.subplots()
    axes.legend(figure, ["_b_", "c"])
    assert [text.get_text().strip() for text in figure.legends[0].texts] == ["_b_", "c"]


@pytest.mark.parametrize(
    "names",
    [
        ["pets-v1", "pets_v1"],
        ["Pets", "pets"],
        ["café", unicodedata.normalize("NFD", "café"), "cafe_"],
        ["***", "🐈", "_", "[0.5]"],
        ["x" * 300 + "1", "x" * 300 + "2"],
        ["a", "a", "A "],
        ["猫" * 100, "猫" * 101],
        ["ﬁle", "file"],
    ],
)
def test_names_of_files_are_distinct_on_every_file_system(names, monkeypatch):
    class Named:
        def __init__(self, dataset):
            self.dataset = dataset

    found = write._file_names([Named(name) for name in names])
    folded = {unicodedata.normalize("NFC", name).casefold() for name in found}
    assert len(folded) == len(names)
    assert write._file_names([Named("digits"), Named("cifar10")]) == ["digits", "cifar10"]


def test_each_table_shows_pictures_of_its_own(stored_run, tmp_path):
    for name in ("pets-v1", "pets_v1"):
        stored_run("dataset=tfds", f"dataset.name={name}", data=name)
    write_report(tmp_path / "main")
    text = (tmp_path / "main" / "report.md").read_text()
    one, other = (re.findall(r"\((report/\S+)\)", part) for part in text.split("## pets")[1:])
    assert len(one) == len(other) == 3 and not {*one} & {*other}
    assert all((tmp_path / "main" / path).exists() for path in (*one, *other))


def test_a_report_in_which_everything_has_a_nasty_name(renamed, tmp_path, config, capfd):
    """The whole of it once, with images: `$$` and what is no UTF-8 ended it with a traceback."""
    classes = sorted(NAMES.values(), key=utf8)[:30]
    root = tmp_path / "images"
    for split, k in itertools.product(("train", "val"), range(30)):
        (root / split / f"{k:02}").mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(root / split / f"{k:02}" / "0.png")
    keys = config("dataset=folder", f"dataset.path={root}", "dataset.image_size=8")
    data = cache.prepare(keys.dataset, tmp_path / "cache", lambda *_: None)
    folder = renamed("$$ *a*\n[0.5]", "猫\udcff_", classes)
    label = np.arange(30, dtype=np.int32)
    for directory in folder.glob("34-*"):
        config_of = store.Stored(directory).config() | {"cache_dir": str(tmp_path / "cache")}
        durable.write_yaml(directory / "config.yaml", config_of)
        facts = durable.read_json(directory / "provenance.json")
        if facts["fingerprint"] == "one":
            durable.write_json(
                directory / "provenance.json", facts | {"fingerprint": data.fingerprint}
            )
        arrays = {"label": label, "predicted": label[::-1], "confidence": np.full(30, 0.5)}
        durable.write_arrays(directory / "predictions.npz", arrays)
    for contrast in ("plain", "dataset.path"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            write_report(folder, ReportConfig(contrast=contrast), tell=print)
        kinds = {path.name.split("-")[0] for path in (folder / "report").glob("*.png")}
        assert kinds == {"accuracy", "confusion", "examples", "final", "loss", "predictions"} | (
            {"effects"}
        )
    text = (folder / "report.md").read_text()
    assert r"## \$\$ \*a\*\n[0.5]" in text
    assert re.search(r"one of the comparison's sets of images, those of (\\\$|猫)", text)
    for path in re.findall(r"\]\((report/\S+)\)", text):
        assert (folder / path).exists()
    assert capfd.readouterr().err == ""


def test_a_terminal_that_knows_ascii_only_ends_no_command(renamed, cli, tmp_path):
    renamed("猫 $$", "caf\udce9")
    options = "main", "report.contrast=dataset.path"
    done = cli(*options, module="ablation.report", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u732b \$\$" in done.stdout and r"caf\xe9" in done.stdout
    assert "猫" in (tmp_path / "main" / "report.md").read_text("utf-8")
