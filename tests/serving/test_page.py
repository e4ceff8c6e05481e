"""The page of `serve` in a browser: from choosing an image to the downloaded file, by mouse and by keyboard."""

from pathlib import Path

import pytest
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.training.loaded_model import LoadedModel, load
from tests.cli.test_generate import TINY
from tests.cli.test_translate import COMMANDS
from tests.reporting.browser import Page, browser, needs_browser

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")

from stylegan_lab.serving.limits import Limits
from tests.serving.client import Client, Gate, served, until

IS_DONE = (
    "document.querySelector('#status').textContent.startsWith('Done') && document.querySelector('#after').complete"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    for name, command in {
        "cyclegan": COMMANDS["cyclegan"], "stargan2": COMMANDS["stargan2"],
        "cgan": [*TINY, "model=cgan", "data=scenes_labelled", "data.size=16"],
    }.items():  # fmt: skip
        assert run(["train", *command, f"output_dir={folder / name}"]) == 0
    return {path.name: str(path) for path in folder.iterdir()}


@pytest.fixture
def models(runs: dict[str, str]) -> list[LoadedModel]:
    return [load(runs[name]) for name in ("cyclegan", "stargan2", "cgan")]


def visit(page: Page, client: Client) -> None:
    page.emulate()
    page.call("Page.navigate", url=client.server.url)
    page.until("document.documentElement?.dataset.ready === 'yes'")


def choose_file(page: Page, selector: str, path: Path) -> None:
    root = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
    page.call("DOM.setFileInputFiles", nodeId=node, files=[str(path.resolve())])


def click(page: Page, selector: str) -> None:
    page.value(f"document.querySelector({selector!r}).click()")


def text(page: Page, selector: str) -> str:
    shown: str = page.value(f"document.querySelector({selector!r}).textContent")
    return shown


@needs_browser
def test_an_image_is_translated_compared_and_downloaded(
    models: list[LoadedModel], runs: dict[str, str], tmp_path: Path
) -> None:
    Image.effect_noise((50, 38), 60).convert("RGB").save("my photo.png")
    assert run(["translate", runs["cyclegan"], "my photo.png", "wanted.png", "--direction", "b2a"]) == 0
    (tmp_path / "downloads").mkdir()
    with browser(tmp_path) as page, served(models) as client:
        page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "downloads"))
        visit(page, client)
        choose_file(page, "#image", Path("my photo.png"))
        page.until("document.querySelector('#image-text').textContent.startsWith('my photo.png')")
        click(page, "[name=direction][value=b2a]")
        click(page, "#start")
        page.until(IS_DONE)
        assert text(page, "#caption") == "cyclegan · ukiyoe → photo"
        page.value("document.querySelector('#slider').focus()")
        position = "getComputedStyle(document.querySelector('#compare')).getPropertyValue('--position')"
        assert page.value(position) == "50%"
        for _ in range(3):
            page.press("ArrowRight")
        assert page.value(position) == "53%"
        assert page.value("document.querySelector('#slider').getAttribute('aria-valuetext')") == "53 % before"
        click(page, "#download")
        downloaded = tmp_path / "downloads" / "my_photo-b2a.png"
        until(downloaded.exists)
        assert downloaded.read_bytes() == Path("wanted.png").read_bytes()
        click(page, "#reuse")
        page.until("document.querySelector('#image-text').textContent.startsWith('my_photo-b2a.png')")
        assert page.errors == []
        assert all(
            url.startswith((client.server.url, f"blob:{client.server.url}", "about:", "data:,"))
            for url in page.requested
        )


@needs_browser
def test_the_next_image_may_be_chosen_while_the_model_works(models: list[LoadedModel], tmp_path: Path) -> None:
    for name, side in {"first.png": 40, "second.png": 36}.items():
        Image.effect_noise((side, side), 60).convert("RGB").save(name)
    with browser(tmp_path) as page, served(models) as client, Gate(models[0]) as gate:
        visit(page, client)
        for name in ("first.png", "second.png"):
            choose_file(page, "#image", Path(name))
            page.until(f"document.querySelector('#image-text').textContent.startsWith('{name}')")
            if name == "first.png":
                click(page, "#start")
                until(gate.held.is_set)
        gate.open()
        page.until(IS_DONE)
        page.until("document.querySelector('#before').naturalWidth === 40")
        assert page.errors == []


@needs_browser
def test_each_model_shows_its_own_settings_and_the_visit_has_a_gallery(
    models: list[LoadedModel], tmp_path: Path
) -> None:
    fields = (
        "[...document.querySelectorAll('.field[data-for]')].filter(each => !each.hidden).map(each => each.dataset.for)"
    )
    with browser(tmp_path) as page, served(models) as client:
        visit(page, client)
        assert page.value(fields) == ["image", "direction", "strength", "size"]
        page.value("document.querySelector('#model').focus()")
        page.press("ArrowDown")
        assert page.value(fields) == ["image", "direction", "references", "strength", "seed", "size"]
        assert page.value("document.querySelector('[name=direction]:checked').value") == "ukiyoe", "the run's target"
        domains = "[...document.querySelectorAll('[name=direction]')].map(each => each.value)"
        assert page.value(domains) == list(models[1].domains)
        Image.linear_gradient("L").save("style.png")
        choose_file(page, "#reference", Path("style.png"))
        page.until("!document.querySelector('#no-reference').hidden")
        assert "seed" not in page.value(fields), "the style image takes its place"
        choose_file(page, "#image", Path("style.png"))
        page.value("document.querySelector('#seed').value = -1")
        click(page, "#start")
        page.until(IS_DONE)
        assert text(page, "#caption") == "stargan2 · to ukiyoe · style of style.png"
        click(page, "#clear")
        page.value("document.querySelector('#model').focus()")
        page.press("ArrowDown")
        assert page.value(fields) == ["classes", "seed"] and text(page, "#start") == "Generate"
        page.value("document.querySelector('#status').textContent = ''")
        click(page, "#another")
        page.until(IS_DONE)
        page.value("document.querySelector('#status').textContent = ''")
        click(page, "#another")
        page.until(IS_DONE)
        captions = page.value("[...document.querySelectorAll('#results img')].map(each => each.alt)")
        assert len(set(captions)) == 2 and text(page, "#caption") == captions[0]
        page.value("document.querySelectorAll('#results button')[1].focus()")
        page.press("Enter")
        assert text(page, "#caption") == captions[1]
        assert page.value("document.querySelectorAll('#results button')[1] === document.activeElement")
        click(page, "#clear")
        assert page.value("document.querySelector('#gallery').hidden && document.querySelector('#result').hidden")
        assert page.errors == []


@needs_browser
def test_the_page_says_how_many_wait_what_is_wrong_and_that_the_server_has_ended(
    models: list[LoadedModel], tmp_path: Path
) -> None:
    image = tmp_path / "photo.png"
    Image.effect_noise((50, 38), 60).convert("RGB").save(image)
    (tmp_path / "text.png").write_text("hello")
    with browser(tmp_path) as page:
        with served(models, Limits(upload_bytes=20_000)) as client, Gate(models[0]) as gate:
            visit(page, client)
            click(page, "#start")
            assert text(page, "#error") == "Choose an image first."
            others = [client.start(image.read_bytes()) for _ in range(2)]
            until(lambda: len(client.server.app.images.queue._line) == 2)
            choose_file(page, "#image", image)
            page.until("!document.querySelector('#error').textContent")
            click(page, "#start")
            page.until("document.querySelector('#status').textContent === '2 before you'")
            others.pop().close()
            page.until("document.querySelector('#status').textContent === '1 before you'")
            click(page, "#cancel")
            until(lambda: len(client.server.app.images.queue._line) == 1)
            page.until("document.querySelector('#status').textContent === 'Cancelled'")
            gate.open()
            others.pop().close()
            choose_file(page, "#image", tmp_path / "text.png")
            page.until("document.querySelector('#image-text').textContent.startsWith('text.png')")
            click(page, "#start")
            page.until(
                "document.querySelector('#error').textContent.startsWith('The image is not an image that can be read')"
            )
            (tmp_path / "large.png").write_bytes(b"x" * 20_001)
            choose_file(page, "#image", tmp_path / "large.png")
            page.until("document.querySelector('#error').textContent.includes('at most 0.02 MB can be uploaded')")
        click(page, "#start")
        page.until("document.querySelector('#error').textContent.startsWith('The server does not answer')")


@needs_browser
def test_the_page_fits_narrow_windows_in_light_and_dark(models: list[LoadedModel], tmp_path: Path) -> None:
    with browser(tmp_path) as page, served(models, token="a-token-of-tests-123") as client:
        visit(page, client)
        assert page.value("location.search") == "", "the token leaves the address"
        colors = set()
        for dark in (False, True):
            page.emulate(dark=dark, width=360, height=700)
            assert page.value("document.documentElement.scrollWidth <= innerWidth")
            colors.add(page.value("getComputedStyle(document.body).backgroundColor"))
        assert len(colors) == 2
        unnamed = (
            "[...document.querySelectorAll('input, select')].filter(each => !each.labels?.length && !each.ariaLabel)"
        )
        assert page.value(f"{unnamed}.map(each => each.id)") == []
        assert page.errors == []
