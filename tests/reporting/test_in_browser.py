"""TensorBoard and the page in a real browser: what a reader looks for is found, and the browser asks this machine alone."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from sslplug.reporting.comparison import Comparison
from sslplug.reporting.comparison_log import write_tensorboard
from sslplug.reporting.page import write_page

Make = Callable[..., Comparison]


def _load() -> ModuleType:
    """The script that makes the README's picture: the test drives what it drives."""
    file = Path(__file__).parents[1] / "reproduce" / "tensorboard_picture.py"
    spec = importlib.util.spec_from_file_location("tensorboard_picture", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shown = _load()
pytestmark = pytest.mark.skipif(bool(shown.missing()), reason=shown.missing())


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with shown.chromium(1400, 900) as driver:
        yield driver


def screenshot(driver: Any) -> Image.Image:
    """The page as it looks; with more than a few colours, so that an empty one does not pass for a page."""
    picture = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("RGB")
    colours = picture.getcolors(picture.width * picture.height)
    assert colours is not None
    assert len(colours) > 50
    return picture


def test_tensorboard_shows_table_charts_pictures_and_projector(browser: Any, make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison(projector=True)
    write_tensorboard(tmp_path / "log", comparison)
    shown.resize(browser, 1400, 900)
    with shown.tensorboard(tmp_path / "log") as address:
        browser.get(f"{address}/#hparams")
        cells = shown.wait(browser, "vaadin-grid-cell-content", 60)
        texts = [cell.text for cell in cells]
        assert {"plugin", "recipe", "objective", "task", "score"} <= set(texts)
        assert {"graph", "vicreg", "default-digits", "tabular/adult/income"} <= set(texts)
        assert f"{comparison.cells[0].mean:.5f}" in texts
        screenshot(browser)

        browser.get(f"{address}/#custom_scalars")
        charts = shown.wait(browser, "tf-custom-scalar-margin-chart-card", 3)
        assert [chart.text.partition(":")[0] for chart in charts] == ["digits, digit", "adult, income", "har, activity"]
        shown.wait(browser, "path.line", 4 + 1)  # the entries' lines and the trees'
        groups = [found.text for found in shown.deep(browser, "tf-category-paginated-view")]
        assert [group.partition("\n")[0] for group in groups] == ["graph", "tabular", "wearable"]
        assert screenshot(browser).size == (1400, 900)

        browser.get(f"{address}/#images&tagFilter=heat-map|critical|rankme")
        images = shown.wait(browser, "img", 3)
        script = "return arguments[0].complete && arguments[0].naturalWidth"
        shown.until(lambda: all(browser.execute_script(script, image) for image in images))
        tags = {element.text for element in shown.deep(browser, "tf-card-heading")}
        for name in ("objectives/heat-map", "ranks/critical-difference", "diagnostics/predicts-rankme"):
            assert any(name in tag for tag in tags)
        screenshot(browser)

        browser.get(f"{address}/#projector")
        for _ in range(2):  # the projector is a frame in a frame
            (frame,) = shown.wait(browser, "iframe")
            browser.switch_to.frame(frame)
        shown.until(lambda: [one.text for one in shown.deep(browser, ".numDataPoints")] == ["60"])
        named = " ".join(one.get_attribute("textContent") for one in shown.deep(browser, "paper-item"))
        assert all(name in named for name in ("graph, digits", "tabular, adult", "wearable, har"))
        browser.switch_to.default_content()
        screenshot(browser)
        assert {url for url in shown.requests(browser) if not url.startswith(address)} == set()


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)], ids=["wide-light", "narrow-dark"])
def test_the_page_reads_well_wide_and_narrow_light_and_dark(
    width: int, dark: bool, browser: Any, make_comparison: Make, tmp_path: Path
) -> None:
    comparison = make_comparison()
    write_page(tmp_path / "page.html", comparison)
    shown.resize(browser, width, 900, dark)
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width  # wide tables scroll by themselves
    assert len(shown.deep(browser, "svg.picture")) == 7
    assert [one.text for one in shown.deep(browser, ".verdict .word")] == [one.word for one in comparison.verdicts]
    paper = Image.Image.getpixel(screenshot(browser), (2, 450))
    assert paper == ((22, 25, 29) if dark else (255, 255, 255))

    link = next(one for one in shown.deep(browser, "td a") if one.text)
    target = link.get_attribute("href").partition("#")[2]
    browser.execute_script("arguments[0].click()", link)
    (entry,) = shown.deep(browser, f"article[id='{target}']:target")
    assert comparison.entries[int(target.partition("-")[2]) - 1].command in entry.text
    run = entry.find_element("css selector", "li a").get_attribute("href")
    assert Path(run.removeprefix("file://")).is_dir()
    assert shown.requests(browser) == set()
    errors = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []


def test_a_hostile_name_runs_nothing(browser: Any, make_comparison: Make, tmp_path: Path) -> None:
    comparison = make_comparison(
        objectives=("<img src=x onerror=document.title='taken'>", "</title><script>document.title='taken'</script>")
    )
    write_page(tmp_path / "page.html", comparison)
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.title.startswith("sslplug comparison")
    assert not shown.deep(browser, "img, script")


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown.shutil, "which", lambda name: None)
    assert "chromium and chromedriver not found (apt-get install" in shown.missing()
    monkeypatch.setitem(sys.modules, "selenium", None)
    assert "selenium is not installed" in shown.missing()
