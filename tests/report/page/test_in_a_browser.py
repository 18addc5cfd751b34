"""The page in a headless Chromium, from its file and without a network."""

import contextlib
import json
import shutil
import time
from importlib import resources

import pytest

from ablation.config import ReportConfig
from ablation.records import store
from ablation.records.standing import Standing, Training
from ablation.report.write import write_page, write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium is installed")

WIDE = {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def opened(browser):
    """Opens a page; every test fails if it logs an error or asks for anything but itself."""
    contexts, wrong = [], []

    def open_page(folder, view="", name="report.html", **options):
        context = browser.new_context(**{"viewport": WIDE} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(120_000)  # A busy machine draws slowly.
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        address = (folder / name).as_uri()
        page.on("request", lambda asked: _is_own(asked.url, address) or wrong.append(asked.url))
        page.goto(address + view)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


def _is_own(url, address):
    return url.startswith("data:") or url.split("?")[0].split("#")[0] == address


@pytest.fixture
def study(stored_run, tmp_path):
    for arch in ("20", "32"):
        for plain in ("true", "false"):
            for seed in (0, 1, 2):
                accuracy = 0.5 + 0.2 * (plain == "false") + 0.01 * seed
                stored_run(f"arch={arch}", f"plain={plain}", f"seed={seed}", val_accuracy=accuracy)
    write_report(tmp_path / "main")
    return tmp_path / "main"


def _until(page, expression, seconds=60):
    """Waits in steps, because the page's policy forbids what Playwright would evaluate in it."""
    for _ in range(seconds * 10):
        with contextlib.suppress(playwright.Error):  # It loads itself anew where sections are new.
            if page.evaluate(expression):
                return
        page.wait_for_timeout(100)
    raise AssertionError(f"waited in vain for {expression}")


def _curve(page, x=0.5, y=0.5):
    """Moves to a place of the first chart, as shares of it; returns where that is."""
    chart = page.locator("#curves-0 .u-over").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    spot = box["x"] + x * box["width"], box["y"] + y * box["height"]
    page.mouse.move(*spot)
    return spot


def _nearest(page, x=0.5):
    """Moves up over the first chart until a point is near; returns what the hint says of it."""
    for height in range(2, 40):
        spot = _curve(page, x, height / 40)
        hint = page.locator("#curves-0 .hint").first
        if hint.is_visible():
            return hint.inner_text().splitlines(), spot
    raise AssertionError("no curve is near")


def test_a_hint_has_the_name_of_the_run_and_its_exact_value(opened, study):
    page = opened(study, "#0.curves.show=each&0.curves.y=loss")
    said, _ = _nearest(page)
    history = (study / said[0] / "history.csv").read_text().splitlines()
    epoch = int(said[1].removeprefix("epoch "))
    assert float(said[2]) == pytest.approx(float(history[epoch].split(",")[1]), rel=1e-5)


def test_a_click_isolates_and_another_shows_all(opened, study):
    page = opened(study)
    _, spot = _nearest(page)
    page.mouse.click(*spot)
    pressed = page.locator("#curves-0 .legend [aria-pressed=true]")
    assert pressed.count() == 1 and "alone" in page.url
    page.locator("#curves-0 .legend .reset").click()
    assert pressed.count() == 0 and "alone" not in page.url


def test_dragging_zooms_and_the_address_brings_the_view_back(opened, study):
    page = opened(study)
    start = _curve(page, 0.3, 0.5)
    page.mouse.down()
    page.mouse.move(start[0] + 120, start[1] + 2, steps=5)
    page.mouse.up()
    _until(page, "location.hash.includes('zoom')")
    low, high = map(float, page.url.split("zoom=")[1].split("%3B")[0].split("%2C"))
    assert 1 < low < high < 5
    again = opened(study, "#" + page.url.split("#")[1])
    _curve(again)
    assert again.locator("#curves-0 .reset").is_visible()


def test_a_choice_is_kept_in_the_address(opened, study):
    page = opened(study)
    _curve(page)
    page.locator("#curves-0 select").first.select_option("val_accuracy")
    assert "0.curves.y=val_accuracy" in page.url
    again = opened(study, "#" + page.url.split("#")[1])
    _curve(again)
    assert again.locator("#curves-0 select").first.input_value() == "val_accuracy"


def test_a_table_is_sorted_and_a_column_hidden(opened, study):
    page = opened(study)
    cells = "[...document.querySelectorAll('#runs-table tbody tr > :nth-child({})')].map(e => {})"
    names, values = cells.format(1, "e.innerText"), cells.format(6, "+e.innerText")
    before = page.evaluate(names)
    button = page.locator("#runs-table th:nth-child(6) button")
    button.click()
    assert page.evaluate(values) == sorted(page.evaluate(values))
    button.click()
    assert page.evaluate(values) == sorted(page.evaluate(values), reverse=True)
    button.click()
    assert page.evaluate(names) == before
    page.locator("#runs .columns summary").click()
    page.locator("#runs .columns label", has_text="state").locator("input").uncheck()
    assert not page.locator("#runs-table thead th:nth-child(2)").is_visible()
    assert "table.runs-table.hide=1" in page.url


def test_names_that_begin_alike_are_sorted_both_ways(opened, study):
    page = opened(study)
    names = "[...document.querySelectorAll('#runs-table tbody th')].map(e => e.innerText)"
    button = page.locator("#runs-table thead th button").first
    button.click()
    upwards = page.evaluate(names)
    button.click()
    assert page.evaluate(names) == upwards[::-1]


def test_what_opens_is_what_a_number_stands_for(opened, study):
    page = opened(study)
    cell = page.locator("#ablation-0 tbody .opens").first
    assert cell.get_attribute("title") == "3 runs"
    cell.click()
    marked = page.locator("#runs-table .behind th")
    assert marked.count() == 3 and all("20-plain" in name for name in marked.all_inner_texts())
    assert "One of the 3 runs" in page.locator("#runs-table .detail").inner_text()
    button = page.locator("#runs-table thead th button").last
    button.click()  # Sorting closes what is open, and the number opens it again.
    cell.click()
    assert page.locator("#runs-table .detail").count() == 1


def test_a_section_is_gone_to_without_losing_the_view(opened, study):
    page = opened(study, "#0.curves.y=val_accuracy")
    page.locator("#contents a", has_text="Runs").click()
    assert "0.curves.y=val_accuracy" in page.url
    assert page.evaluate("scrollY") > 0


def test_another_metric_is_seen_whole(opened, study):
    page = opened(study, "#0.curves.y=loss&0.curves.zoom=2,3;0.5,0.6")
    _curve(page)
    assert page.locator("#curves-0 .reset").is_visible()
    page.locator("#curves-0 select").first.select_option("val_accuracy")
    assert "zoom" not in page.url and not page.locator("#curves-0 .reset").count()


def _changed(study, change):
    """Writes the page with other data, as `changed.html`."""
    html = (study / "report.html").read_text()
    begin = html.index('id="data">') + len('id="data">')
    end = html.index("</script>", begin)
    data = json.loads(html[begin:end])
    change(data)
    (study / "changed.html").write_text(html[:begin] + json.dumps(data) + html[end:])


def test_losses_below_0_are_drawn_and_have_no_logarithm(opened, study):
    def negative(data):
        for key in ("loss", "val_loss"):
            data["curves"][key] = [[-value for value in of] for of in data["curves"][key]]

    _changed(study, negative)
    page = opened(study, name="changed.html")
    said, _ = _nearest(page)
    assert said
    log = page.locator("#curves-0 label", has_text="logarithmic").locator("input")
    assert not log.is_checked()
    log.check()
    assert "Nothing is above 0" in page.locator("#curves-0 .panel").first.inner_text()
    again = opened(study, "#0.curves.log=1&0.curves.zoom=2,3;-0.9,-0.5", name="changed.html")
    again.locator("#curves-0").scroll_into_view_if_needed()
    assert again.locator("#curves-0 .panel").count() == again.locator("#curves-0 .empty").count()
    _curve(opened(study, "#0.curves.log=1&0.curves.zoom=2,3;-0.5,0.6"))


def test_an_address_of_an_earlier_report_is_no_error(opened, study):
    stale = "&".join(f"0.{kind}.color=depth&0.{kind}.panel=depth" for kind in ("final", "cost"))
    page = opened(study, f"#{stale}&0.curves.dash=depth&0.final.x=depth")
    for kind in ("curves", "final", "cost"):
        page.locator(f"#{kind}-0").scroll_into_view_if_needed()
        page.locator(f"#{kind}-0 canvas").first.wait_for()


def test_the_keyboard_stays_where_it_was(opened, study):
    page = opened(study)
    _curve(page)
    page.locator("#curves-0 select").first.focus()
    page.keyboard.press("ArrowDown")
    _until(page, "location.hash.includes('curves.y')")
    assert page.evaluate("document.activeElement.closest('#curves-0 label')?.innerText")
    page.locator("#curves-0 .chart").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    pressed = page.locator("#curves-0 .legend [aria-pressed=true]")
    assert pressed.count() == 1
    page.keyboard.press("Escape")
    assert pressed.count() == 0


def test_a_tap_reads_a_point_and_the_next_isolates(opened, study):
    _, spot = _nearest(opened(study))
    page = opened(study, has_touch=True)  # Which has no mouse that could leave the chart.
    page.locator("#curves-0 .u-over").first.scroll_into_view_if_needed()
    page.touchscreen.tap(*spot)
    page.locator("#curves-0 .hint").first.wait_for()
    page.wait_for_timeout(500)  # Or both are a double tap.
    assert "alone" not in page.url
    page.touchscreen.tap(*spot)
    _until(page, "location.hash.includes('alone')")


@pytest.mark.parametrize(
    ("splits", "labels"),
    [
        ([52.5, 55, 57.5], ["52.5", "55", "57.5"]),
        ([70.25, 70.5, 70.75], ["70.25", "70.5", "70.75"]),
        ([0, 2500, 5000], ["0", "2500", "5000"]),
        ([5000, 7500, 10_000, 12_500], ["5k", "7.5k", "10k", "12.5k"]),
        ([0.1, 0.2, 0.3], ["0.1", "0.2", "0.3"]),
        ([4.5e-5, 5e-5, 5.5e-5], ["4.5e-5", "5e-5", "5.5e-5"]),
    ],
)
def test_a_tick_says_where_it_stands(browser, splits, labels):
    assert _of_scripts(browser, f"spaced({splits})") == labels


def _of_scripts(browser, expression):
    """Returns what an expression comes to among the functions of a page."""
    folder = resources.files("ablation.report.page") / "scripts"
    names = ("look.js", "chart.js", "curves.js", "points.js")
    scripts = "\n".join((folder / name).read_text() for name in names)
    page = browser.new_page()
    found = page.evaluate(f"(() => {{ {scripts}\nreturn {expression}; }})()")
    page.close()
    return found


def test_a_label_without_room_is_left_out_and_the_ends_stay(browser):
    labels = ["0.001", "0.002", "0.003", "0.01", "0.03"]
    spots = [0, 10, 20, 93, 300]
    found = _of_scripts(browser, f"sparse({labels}, {spots})")
    assert found == ["0.001", "", "", "0.01", "0.03"]
    assert _of_scripts(browser, f"sparse({labels[:2]}, [0, 10])") == ["0.001", ""]
    assert _of_scripts(browser, "sparse([], [])") == []


ARMS = ["reference", *(f"without label_smoothing_{letter}" for letter in "abcdefg")]


@pytest.mark.parametrize(("width", "rotate"), [(2000, 0), (400, 45), (150, 90)])
def test_every_name_below_an_axis_is_readable(browser, width, rotate):
    found = _of_scripts(browser, f"fitted({ARMS}, {width}, [-0.5, {len(ARMS) - 0.5}])")
    assert found["rotate"] == rotate and found["texts"] == ARMS
    assert found["size"] == 36 if not rotate else found["size"] > 100


def test_long_names_are_cut_to_what_tells_them_apart(browser):
    names = [f"activation_of_the_last_block: kind {number}" for number in range(40)]
    found = _of_scripts(browser, f"fitted({names}, 300, [-0.5, 39.5])")
    shown = [text for text in found["texts"] if text]
    assert 15 < len(shown) < 40 and len(set(shown)) == len(shown)
    assert all(len(text) <= 28 for text in shown)


@pytest.mark.parametrize(
    ("levels", "logarithmic"),
    [
        ((0.001, 0.002, 0.003, 0.005, 0.01, 0.03), True),
        ((1, 4, 8, 12), False),
        ((20, 32, 44, 56, 110), False),
    ],
)
def test_an_axis_is_logarithmic_where_levels_are_more_even_on_it(
    opened, study, levels, logarithmic
):
    def of_depth(data):
        runs = data["chapters"][0]["runs"]
        places = [place % len(levels) for place in range(len(runs))]
        factor = {"name": "depth", "levels": list(map(str, levels)), "numbers": levels}
        data["chapters"][0]["factors"].append(factor | {"of": places})

    _changed(study, of_depth)
    page = opened(study, "#0.final.x=depth", name="changed.html")
    page.locator("#final-0").scroll_into_view_if_needed()
    box = page.locator("#final-0 label", has_text="logarithmic").locator("input")
    assert box.is_checked() == logarithmic


def test_final_scores_say_what_they_are_averaged_over(opened, study):
    told = {}
    for view in ("", "#0.final.x=net", "#0.final.color=arch"):
        page = opened(study, view)
        page.locator("#final-0").scroll_into_view_if_needed()
        told[view] = page.locator("#final-0 .aside").inner_text()
    first, of_net, of_arch = told.values()
    assert "Averaged" not in first
    assert "Averaged over arch." in of_net
    assert "Averaged over net." in of_arch


def test_numbers_lie_along_the_axis_whichever_of_two_factors_is_compared(opened, study):
    write_report(study, ReportConfig(contrast="arch"))
    page = opened(study)
    page.locator("#final-0").scroll_into_view_if_needed()
    chosen = {
        name: page.locator("#final-0 label", has_text=name).locator("select").input_value()
        for name in ("against", "colour")
    }
    assert chosen == {"against": "arch", "colour": "net"}


def test_from_a_number_to_the_run_behind_it(opened, study):
    page = opened(study)
    page.locator("#ablation-0 tbody .opens").first.click()
    detail = page.locator("#runs-table .detail")
    assert detail.count() == 1
    page.locator("#runs-table .opens", has_text="20-residual").first.click()
    told = page.locator("#runs-table .detail").last.inner_text()
    assert "Apart from the reference" in told and "parts.plain" in told


def test_the_keyboard_reads_a_chart(opened, study):
    page = opened(study)
    _curve(page)
    page.locator("#curves-0 .chart").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#curves-0 .hint").first.is_visible()
    page.keyboard.press("Enter")
    assert page.locator("#curves-0 .legend [aria-pressed=true]").count() == 1


def test_the_keyboard_goes_along_the_line_that_is_alone(opened, study):
    page = opened(study, "#0.curves.show=each")
    page.locator("#curves-0 .chart").first.focus()
    hint = page.locator("#curves-0 .hint").first

    def after(key):
        page.keyboard.press(key)
        return hint.inner_text().splitlines()[:2]

    first, epoch = after("ArrowDown")
    assert epoch == "epoch 1"
    assert after("ArrowRight") == [first, "epoch 2"]
    other, epoch = after("ArrowDown")
    assert other != first and epoch == "epoch 2"
    after("Enter")
    hint.wait_for()
    assert page.locator("#curves-0 .legend [aria-pressed=true]").inner_text() == other
    assert hint.inner_text().splitlines()[:2] == [other, "epoch 2"]
    assert after("ArrowDown") == [other, "epoch 2"]
    assert after("ArrowLeft") == [other, "epoch 1"]


def test_the_keyboard_goes_from_left_to_right(opened, study):
    page = opened(study)
    page.locator("#final-0").scroll_into_view_if_needed()
    page.locator("#final-0 .chart").first.focus()
    seen = []
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        seen.append(page.locator("#final-0 .hint").first.inner_text().splitlines()[1])
    assert seen == ["arch 20"] * 3 + ["arch 32"] * 3


def _standing(done):
    training = [Training("a-run", 5, 1.5, f"epoch {done}/5")]
    return Standing(store.now(), done, 13, "time left: 0:01:00", training)


def test_an_open_page_takes_up_what_is_new_and_keeps_its_view(opened, study, stored_run):
    write_page(study, ReportConfig(), (), _standing(12))
    page = opened(study, "#0.curves.y=loss")
    _curve(page)
    assert "12 of 13 runs" in page.locator(".progress").inner_text()
    assert page.locator("#runs-table tbody tr").count() == 12
    stored_run("arch=20", "plain=true", "seed=3")
    write_page(study, ReportConfig(), (), _standing(13))
    _until(page, "document.querySelectorAll('#runs-table tbody tr').length === 13")
    assert "13 of 13 runs" in page.locator(".progress").inner_text()
    assert page.locator("#curves-0 select").first.input_value() == "loss"
    write_report(study)
    _until(page, "!document.querySelector('.progress')")
    assert page.locator("#freshness").inner_text() == ""
    page.wait_for_timeout(100)
    assert page.locator("iframe").count() == 0


def test_a_number_opens_its_own_runs_whatever_was_trained_since(opened, study, stored_run):
    for plain in ("true", "false"):
        stored_run("arch=20", f"plain={plain}", "dataset=cifar10")
    write_page(study, ReportConfig(), (), _standing(14))
    page = opened(study)
    stored_run("arch=20", "plain=true", "seed=1", "dataset=cifar10")  # Its name comes first.
    write_page(study, ReportConfig(), (), _standing(15))
    _until(page, "document.querySelectorAll('#runs-table tbody tr').length === 15")
    page.locator("#ablation-1 tbody .opens").first.click()
    marked = page.locator("#runs-table .behind th").all_inner_texts()
    assert len(marked) == 3 and all("20-plain-digits" in name for name in marked)


def test_coming_back_to_the_page_loads_it_no_more_often(opened, study):
    write_page(study, ReportConfig(), (), _standing(12))
    page = opened(study)
    looks = []
    page.on("request", lambda asked: "?look=" in asked.url and looks.append(asked.url))
    for _ in range(4):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        _until(page, "!document.querySelector('iframe')")
    count = len(looks)
    page.wait_for_timeout(7000)
    assert count >= 4 and 1 <= len(looks) - count <= 3  # One look in three seconds, at most.


def test_the_page_of_a_sweep_that_trains_is_live(opened, tmp_path, cache_dir):
    from support import start_sweep, tiny

    sweep = start_sweep("-m", *tiny(3), "plain=true,false", cwd=tmp_path, cache_dir=cache_dir)
    folder = tmp_path / "runs" / "main"
    try:
        for _ in range(600):
            if (folder / "report.html").exists():
                break
            assert sweep.poll() is None
            time.sleep(0.1)
        page = opened(folder)
        _until(page, "document.querySelector('.states').innerText.includes('2 complete')", 120)
        _until(page, "!document.querySelector('.progress')", 60)
        assert sweep.wait(timeout=60) == 0  # The page is there before the command has ended.
    finally:
        if sweep.poll() is None:
            sweep.terminate()
        sweep.wait()


@pytest.mark.parametrize(
    "options", [{"color_scheme": "dark"}, {"viewport": {"width": 390, "height": 800}}]
)
def test_it_fits_a_phone_and_the_dark(opened, study, options):
    page = opened(study, **options)
    for height in range(0, 6000, 600):
        page.evaluate(f"scrollTo(0, {height})")
        page.wait_for_timeout(30)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert _contrast(ink, paper) > 7
    soft = page.evaluate("getComputedStyle(document.querySelector('.aside')).color")
    assert _contrast(soft, paper) > 4.5


def test_columns_with_long_names_fit_a_phone(opened, study):
    html = (study / "report.html").read_text()
    name = f"a_level_of_{'x' * 200}"
    (study / "long.html").write_text(html.replace(">state</th>", f">{name}</th>"))
    page = opened(study, name="long.html", viewport={"width": 400, "height": 800})
    page.locator("#runs .columns summary").click()
    assert page.locator("#runs .columns label", has_text=name).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_long_names_of_runs_and_levels_stay_in_their_columns(opened, study):
    html = (study / "report.html").read_text()
    run = next(
        path.name for path in sorted(study.iterdir()) if path.is_dir() and path.name[0] == "2"
    )
    (study / "long.html").write_text(html.replace(run, f"{run}{'_x' * 100}"))
    page = opened(study, name="long.html")
    button = page.locator("#runs .opens", has_text="_x_x_x").first
    cell = button.locator("xpath=..")
    assert button.bounding_box()["width"] <= cell.bounding_box()["width"]


def _contrast(one, other):
    """The contrast ratio of WCAG 2.1 between two colours, 1 to 21."""

    def luminance(color):
        parts = [int(part) / 255 for part in color[4:-1].split(",")]
        red, green, blue = (
            part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_of_a_real_study_opens(opened, tiny_study):
    page = opened(tiny_study[0])
    said, _ = _nearest(page, x=0.03)  # It has two epochs, at either end.
    assert said[0] in ("plain", "residual")
    page.locator("#images-0 .matrix").first.scroll_into_view_if_needed()


def test_without_scripts_it_has_tables_and_figures(opened, study):
    page = opened(study, java_script_enabled=False)
    assert page.locator("#ablation-0 tbody tr").count() == 2
    assert page.locator("svg[role=img]").count() == 3
    assert page.locator("svg[role=img]").first.is_visible()


def test_it_prints_with_its_charts_on_light_paper(opened, study):
    page = opened(study, color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("canvas").count() >= 4
    width = "document.querySelector('canvas').getBoundingClientRect().width"
    _until(page, f"{width} > 500 && {width} < 718")  # A4 between its margins.
    page.set_viewport_size({"width": 718, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not page.locator("#contents").is_visible()
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"


@pytest.mark.parametrize("times", [9, 84], ids=["a hundred", "a thousand"])
def test_many_runs_are_drawn(opened, study, times):
    _changed(study, lambda data: _repeat(data, times))
    opened_page = opened(study, "#0.curves.show=each&0.curves.panel=", name="changed.html")
    said, _ = _nearest(opened_page)
    assert "-digits-s" in said[0]
    opened_page.locator("#final-0").scroll_into_view_if_needed()
    assert opened_page.locator("#final-0 canvas").count()


def _repeat(data, times):
    """Gives a page's data so many times its runs."""
    chapter = data["chapters"][0]
    count = len(data["runs"])
    for key in ("runs", "own", "departs"):
        data[key] *= times
    data["curves"] = {key: values * times for key, values in data["curves"].items()}
    chapter["runs"] = list(range(count * times))
    for factor in chapter["factors"]:
        factor["of"] *= times
