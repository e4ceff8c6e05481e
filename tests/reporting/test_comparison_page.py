"""The page of a comparison: one offline file, tested in a real browser if there is one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stylegan_lab.cli.main import run
from stylegan_lab.reporting.comparison import compare_runs
from stylegan_lab.reporting.curves import PLOT, curve_panels
from tests.reporting.browser import Page, browser, needs_browser
from tests.reporting.run_folders import make_run


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


def make_page(place: Path) -> Path:
    """Three rows, one of them of two seeds; samples at iterations that not all of them share."""
    for name, seed, weight, ssim in [
        ("a-0", 0, 10.0, 0.5),
        ("a-1", 1, 10.0, 0.52),
        ("b", 0, 5.0, 0.7),
        ("<b>&", 0, 1.0, 0.3),
    ]:
        folder = make_run(place / "runs" / name, seed, {"ssim": ssim, "l1": 1 - ssim}, {"model.cycle_weight": weight})
        (folder / "samples").mkdir()
        for iteration in (50, 100) if name != "b" else (100,):
            names = PngInfo()
            names.add_text("rows", '["input", "output"]')
            grid = Image.new("RGB", (34, 34), (iteration, 80, 80))
            grid.save(folder / "samples" / f"{iteration:06d}.png", pnginfo=names if name != "b" else None)
    assert run(["compare", str(place / "runs"), "--html", str(place / "page.html")]) == 0
    return place / "page.html"


def names(page: Page) -> list[str]:
    shown: list[str] = page.value(
        "all('#table tbody tr').filter(r => !r.hidden).map(r => r.cells[1].textContent.trim())"
    )
    return shown


def test_the_page_is_one_offline_file_and_escapes_names(tmp_path: Path) -> None:
    text = make_page(tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=[\"'](?!#|data:)|url\(|@import|<link|https?:", text)
    assert "default-src 'none'" in text
    assert "&lt;b&gt;&amp;" in text and "<b>&" not in text.replace("<b>&lt;b&gt;&amp;", "")
    assert text.count("data:image/webp;base64,") == 7


def test_incomplete_runs_and_broken_images_do_not_break_the_page(tmp_path: Path) -> None:
    (tmp_path / "runs" / "begun").mkdir(parents=True)
    (tmp_path / "runs" / "begun" / "environment.json").write_text("{}")
    make_run(tmp_path / "runs" / "odd")
    (tmp_path / "runs" / "odd" / "samples").mkdir()
    (tmp_path / "runs" / "odd" / "samples" / "000050.png").write_bytes(b"cut off")
    assert run(["compare", "runs", "--html", "page.html"]) == 0


@pytest.mark.parametrize("longest", [100, 1000])
def test_a_short_run_is_visible_next_to_a_long_one(tmp_path: Path, longest: int) -> None:
    for name, iterations in [("short", 100), ("long", longest)]:
        make_run(tmp_path / name, settings={"model.cycle_weight": float(iterations)}, iterations=iterations)
    panel = curve_panels(compare_runs([tmp_path / "short", tmp_path / "long"]).rows)["loss"][0]
    assert panel.is_log == (longest == 1000)
    ends = sorted(float(line.path.split()[-2].lstrip("LM")) for line in panel.lines)
    assert ends[-1] == PLOT.right and ends[0] - PLOT.left > (PLOT.right - PLOT.left) / 5
    assert [at for at, _ in panel.ticks] == [50 if panel.is_log else 0, longest]


def test_a_curve_of_one_point_is_visible(tmp_path: Path) -> None:
    for name, weight in [("one", 1.0), ("two", 2.0)]:
        make_run(tmp_path / name, settings={"model.cycle_weight": weight}, iterations=50)
    panel = curve_panels(compare_runs([tmp_path / "one", tmp_path / "two"]).rows)["val"][0]
    assert all(line.path.endswith("h-6") for line in panel.lines)


@needs_browser
def test_the_address_keeps_the_state_of_the_page(tmp_path: Path, chromium: Page) -> None:
    chromium.errors.clear()
    chromium.requested.clear()
    chromium.open(make_page(tmp_path), "#sort=ssim&iteration=50&filter=cycle_weight")
    assert names(chromium) == ["<b>&", "a-{0,1}", "b"]
    assert chromium.value("$('iteration').textContent") == "iteration 50, 3 of 4 runs"
    assert (
        chromium.value("document.querySelector('#samples figure[data-row=\"0\"] .none').textContent")
        == "none at iteration 50; available: 100"
    )
    named = "all('#samples figure').map(f => all('.row-names span', f).map(s => s.textContent).join())"
    assert chromium.value(named) == ["input,output", "input,output", ""], "the rows of row b are not recorded"
    chromium.open(tmp_path / "page.html", "#filter=ssim%3E0.4%20cycle_weight%3D10")
    assert names(chromium) == ["a-{0,1}"] and chromium.value("$('count').textContent") == "1 of 3 rows"
    assert chromium.value("all('#samples figure').filter(f => f.offsetParent).length") == 1
    assert chromium.errors == []
    assert [url for url in chromium.requested if not url.startswith(("file:", "data:", "about:"))] == []


@needs_browser
def test_the_page_works_with_the_keyboard(tmp_path: Path, chromium: Page) -> None:
    chromium.open(make_page(tmp_path))
    chromium.value("all('#table thead button').find(b => b.textContent.startsWith('ssim')).focus()")
    chromium.press("Enter")
    assert names(chromium) == ["b", "a-{0,1}", "<b>&"]  # the best first
    chromium.press("Enter")
    assert names(chromium) == ["<b>&", "a-{0,1}", "b"]
    assert chromium.value("document.querySelectorAll('th[aria-sort=ascending]').length") == 1
    chromium.value("$('slider').focus()")
    chromium.press("ArrowLeft")
    assert chromium.value("$('iteration').textContent").startswith("iteration 50")
    chromium.press("Tab")
    assert chromium.value("document.activeElement.id") == "image-width"
    chromium.value("document.querySelector('#table tbody input').focus()")
    chromium.press(" ")
    assert chromium.value("all('#samples figure').filter(f => f.offsetParent).length") == 2
    assert "iteration=50" in chromium.value("location.hash") and "hide=" in chromium.value("location.hash")
    named = "e => e.labels?.length || e.getAttribute('aria-label') || e.textContent"
    assert chromium.value(f"all('input, select, button').every({named})")


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_text_contrasts_with_its_background(tmp_path: Path, chromium: Page, dark: bool) -> None:
    """Contrast of at least 4.5, and of 3 for lines (WCAG 2, AA)."""
    chromium.emulate(dark=dark)
    chromium.open(make_page(tmp_path))
    contrast = """(names => { const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
      const light = name => { canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
        canvas.fillRect(0, 0, 1, 1); const part = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
          .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2] };
      const [one, other] = names.map(light); return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05) })"""
    for back in ("--paper", "--wash", "--mark"):
        for ink in ("--ink", "--soft", "--accent") if back != "--mark" else ("--ink",):
            assert chromium.value(f"{contrast}(['{ink}', '{back}'])") >= 4.5, (ink, back)
    assert all(chromium.value(f"{contrast}(['--hue{hue}', '--paper'])") >= 3 for hue in range(10))


@needs_browser
def test_the_page_fits_the_width_of_a_phone(tmp_path: Path, chromium: Page) -> None:
    chromium.emulate(width=380)
    chromium.open(make_page(tmp_path))
    assert chromium.value("document.documentElement.scrollWidth") <= 380
