"""`serve` over HTTP: results equal those of `translate` and `generate`, every limit holds, and nothing is left behind."""

import http.client
import io
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from stylegan_lab.cli.main import run
from stylegan_lab.cli.parsers import PARSERS
from stylegan_lab.training import image_translator
from stylegan_lab.training.loaded_model import LoadedModel, load
from tests.cli.test_generate import SMALL, TINY
from tests.cli.test_translate import COMMANDS
from tests.images.crafted_files import bombs, png_of

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")

from stylegan_lab.serving import served_model
from stylegan_lab.serving.app import App
from stylegan_lab.serving.limits import Limits
from stylegan_lab.serving.server import PageServer
from tests.refusals import assert_refused, refused
from tests.serving.client import TICKET, Gate, form, served, until

TOKEN = "a-token-of-tests-123"
TRAININGS = {
    **{name: COMMANDS[name] for name in ("cyclegan", "stargan2", "unsb", "adain")},
    "stylegan2": [*SMALL, "model=stylegan2", "generator.w_dim=8", "latents.size=8"],
    "cgan": [*TINY, "model=cgan", "data=scenes_labelled", "data.size=16"],
}


@pytest.fixture(scope="module")
def runs(train_once: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The path of a run of a model, which is trained when it is first needed."""
    folder = tmp_path_factory.mktemp("runs")

    def path_of(name: str) -> str:
        path = folder / name
        if not path.exists():
            train_once(*TRAININGS[name], to=str(path))
        return str(path)

    return path_of


@pytest.fixture
def cyclegan(runs: Callable[[str], str]) -> LoadedModel:
    return load(runs("cyclegan"))


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files, which is empty after every test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def noise(size: tuple[int, int] = (50, 38), kind: str = "PNG") -> bytes:
    return encoded(Image.effect_noise(size, 60).convert("RGB"), kind)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def decoded(contents: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(contents)))


def translated(path: str, image: bytes, *options: str) -> bytes:
    """What the command writes for an image."""
    Path("in.png").write_bytes(image)
    assert run(["translate", path, "in.png", "out.png", *options]) == 0
    return Path("out.png").read_bytes()


def all_kinds() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    transparent = Image.effect_noise((50, 38), 60).convert("RGB")
    transparent.putalpha(Image.linear_gradient("L").resize(transparent.size))
    deep = Image.fromarray((np.random.default_rng(0).random((40, 36)) * 65535).astype(np.uint16))
    return {
        "rotated JPEG": encoded(Image.effect_noise((50, 38), 60).convert("RGB"), "JPEG", exif=exif),
        "alpha and profile": encoded(transparent, icc_profile=profile),
        "16 bits": encoded(deep),
        "WebP": noise(kind="WEBP"),
        "GIF": noise(kind="GIF"),
    }


def test_results_are_those_of_translate_bit_for_bit(runs: Callable[[str], str], cyclegan: LoadedModel) -> None:
    with served([cyclegan]) as client:
        for name, image in all_kinds().items():
            answer = client.image(image)
            assert answer.status == 200 and answer.headers["Content-Type"] == "image/png", name
            assert answer.body == translated(runs("cyclegan"), image), name
        image = noise()
        back = client.image(image, direction="b2a", size=64)
        assert back.body == translated(runs("cyclegan"), image, "--direction", "b2a", "--size", "64")


def test_exported_weights_are_served_beside_runs(runs: Callable[[str], str]) -> None:
    assert run(["export", runs("cyclegan"), "weights.safetensors"]) == 0
    image = noise()
    with served([load(runs("adain")), load("weights.safetensors")]) as client:
        assert client.image(image, model=1).body == translated(runs("cyclegan"), image)
        assert client.image(image, model=0).body == translated(runs("adain"), image)
        assert "weights (CycleGAN)" in client.get("/").body.decode()


def test_large_images_are_translated_in_strips_as_translate_does(
    runs: Callable[[str], str], cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_translator, "WHOLE_PIXELS", {"cpu": 100})
    monkeypatch.setattr(image_translator.ImageTranslator, "_whole", None)
    image = noise()
    with served([cyclegan]) as client:
        assert client.image(image).body == translated(runs("cyclegan"), image)


def test_domains_references_and_seeds_of_stargan2(runs: Callable[[str], str]) -> None:
    path, image, style = runs("stargan2"), noise(), noise((32, 32))
    Path("style.png").write_bytes(style)
    with served([load(path)]) as client:
        assert client.image(image).body == translated(path, image)
        assert client.image(image, direction="ink", seed=3).body == translated(
            path, image, "--to", "ink", "--seed", "3"
        )
        like = client.image(image, style, direction="ink")
        assert like.body == translated(path, image, "--to", "ink", "--reference", "style.png")
        unknown = client.image(image, direction="inkk")
        assert unknown.error.startswith("direction=inkk is unknown (did you mean ink?)")


def test_the_seed_of_unsb(runs: Callable[[str], str]) -> None:
    image = noise()
    with served([load(runs("unsb"))]) as client:
        assert client.image(image, seed=5).body == translated(runs("unsb"), image, "--seed", "5")
        assert client.image(image).body != client.image(image, seed=5).body


def test_the_strength_of_adain_keeps_the_style_of_the_content_at_0(runs: Callable[[str], str]) -> None:
    path, image, styles = runs("adain"), noise(), [noise((40, 40)), encoded(Image.linear_gradient("L"))]
    Path("style.png").write_bytes(styles[0])
    with served([load(path)]) as client:
        assert client.image(image, styles[0]).body == translated(path, image, "--reference", "style.png")
        without = [client.image(image, style, strength=0).body for style in (*styles, None)]
        assert without[0] == without[1] == without[2]
        assert client.image(image, styles[0], strength=0.5).body not in (
            without[0],
            client.image(image, styles[0]).body,
        )


def test_a_large_style_image_is_shrunk(runs: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_translator, "WHOLE_PIXELS", {"cpu": 50 * 50})
    shapes: list[torch.Size] = []
    model = load(runs("adain"))
    stylize = model.module.translate_like
    monkeypatch.setattr(
        model.module, "translate_like", lambda image, style, to: shapes.append(style.shape) or stylize(image, style, to)
    )
    with served([model]) as client:
        assert client.image(noise((32, 32)), noise((200, 100))).status == 200
    assert {tuple(shape) for shape in shapes} == {(1, 3, 35, 70)}


def test_strength_blends_with_the_input(cyclegan: LoadedModel) -> None:
    image = noise()
    with served([cyclegan]) as client:
        whole, half, none = (decoded(client.image(image, strength=each).body) for each in (1, 0.5, 0))
    original = decoded(image)
    assert (none == original).all()
    mean = (whole.astype(float) + original) / 2
    assert np.abs(half - mean).max() <= 0.51


def test_images_from_noise_are_those_of_generate(runs: Callable[[str], str]) -> None:
    with served([load(runs("stylegan2")), load(runs("cgan"))]) as client:
        assert run(["generate", runs("stylegan2"), "one", "--n", "1", "--seed", "7", "--truncation", "0.5"]) == 0
        assert client.image(seed=7, truncation=0.5).body == Path("one/000000.png").read_bytes()
        assert run(["generate", runs("cgan"), "two", "--n", "1", "--seed", "7", "--class", "ink"]) == 0
        assert client.image(model=1, seed=7, label="ink").body == Path("two/000000.png").read_bytes()
        assert "truncation" in client.image(model=1, truncation=0.5).error
        assert "whole number" in client.image(seed=0.5).error
        assert "inkk" in client.image(model=1, label="inkk").error


def test_metadata_of_an_upload_is_not_in_the_result(cyclegan: LoadedModel) -> None:
    secret = "at home 52.5200 13.4050"
    exif = Image.Exif()
    exif[0x010E] = secret
    exif.get_ifd(0x8825)[29] = secret  # GPS
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", secret)
    image = Image.effect_noise((40, 40), 60).convert("RGB")
    uploads = [
        encoded(image, "JPEG", exif=exif, comment=secret),
        encoded(image, exif=exif, pnginfo=texts),
        encoded(image, "WEBP", exif=exif, xmp=secret.encode()),
    ]
    with served([cyclegan]) as client:
        for upload in uploads:
            assert secret.encode() in upload
            result = client.image(upload).body
            with Image.open(io.BytesIO(result)) as opened:
                assert secret.encode() not in result and not opened.getexif() and not opened.info


def test_uploads_that_are_not_images_are_refused_by_their_content(cyclegan: LoadedModel) -> None:
    uploads = {
        b"hello": "is not an image", b"": "choose an image", b"<svg xmlns='http://www.w3.org/2000/svg'/>": "is not an image",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n": "is not an image", noise()[:200]: "the image",
    }  # fmt: skip
    with served([cyclegan]) as client:
        for upload, message in uploads.items():
            answer = client.image(upload)
            assert answer.status == 422 and message in answer.error and "/" not in answer.error, upload
        assert client.image(noise(kind="BMP")).status == 200, "whatever its name says"


def test_images_of_too_many_pixels_are_refused_before_they_are_decoded(
    cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("stylegan_lab.images.photograph.decode", refuse)
    monkeypatch.setattr(served_model, "decode", refuse)
    bomb = png_of(30_000, 30_000, 8, 2)
    assert len(bomb) < 200
    with served([cyclegan], Limits(pixels=2000)) as client:
        for name, upload in {"bomb": bomb, **bombs(), "above the limit": noise((50, 41))}.items():
            answer = client.image(upload)
            assert answer.status == 422 and "at most 2,000 are read" in answer.error, name


def test_results_and_paddings_of_too_many_pixels_are_refused(cyclegan: LoadedModel, runs: Callable[[str], str]) -> None:
    with served([cyclegan, load(runs("adain"))], Limits(pixels=5000)) as client:
        assert "the result would have 130x100 pixels" in client.image(noise((52, 40)), size=100).error
        assert client.image(noise((50, 40)), size=50).status == 200
        assert "are allowed" in client.image(noise((5000, 1))).error, "padded to the multiple of the network"
        assert "the style image has" in client.image(noise((20, 20)), noise((80, 80)), model=1).error


def test_uploads_of_too_many_bytes_are_refused_while_they_arrive(cyclegan: LoadedModel) -> None:
    limits = Limits(upload_bytes=100_000)
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        body, _ = form({}, b"x" * 1000)
        yield body[:-20]
        for _ in range(2000):
            sent += 10_000
            yield b"x" * 10_000

    with served([cyclegan], limits) as client:
        answer = client.image(b"x" * 100_001)
        assert answer.status == 413 and "larger than 0.1 MB" in answer.error
        try:
            headers = {**form({})[1], "Transfer-Encoding": "chunked"}
            assert client.request("POST", "/image", endless(), headers, chunked=True).status == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # it stopped reading
        assert sent < 20_000_000
        assert client.image(noise()).status == 200


def test_uploads_stay_in_memory(cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("an upload is written to the disk")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refuse)
    pixels = np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8)
    upload = encoded(Image.fromarray(pixels), compress_level=0)
    assert len(upload) > 1_000_000
    with served([cyclegan]) as client:
        assert client.image(upload, size=32).status == 200


def test_slow_uploads_end(cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.serving.upload.DISCARD_SECONDS", 0.1)
    with served([cyclegan], Limits(upload_seconds=0.2, queue=1)) as client:
        body, headers = form({}, noise())
        with closing(client.connect()) as connection:
            connection.request("POST", "/image", iter([body[:100]]), {**headers, "Content-Length": str(len(body))})
            assert connection.getresponse().status == 408
        client.server.app.images.limits = Limits()
        assert client.image(noise()).status == 200


def test_a_request_ends_at_its_time_limit_between_two_layers(cyclegan: LoadedModel) -> None:
    with served([cyclegan]) as client, Gate(cyclegan) as gate, closing(client.start(noise())) as connection:
        until(gate.held.is_set)
        client.server.app.images.queue._admitted[0].deadline = 0.0
        gate.open()
        assert connection.getresponse().status == 504


def test_requests_wait_in_line_and_others_are_asked_to_come_again(cyclegan: LoadedModel) -> None:
    with served([cyclegan], Limits(queue=3)) as client, Gate(cyclegan) as gate:
        assert client.state() == {}
        tickets = [f"{number:016x}" for number in range(3)]
        started = []
        for ticket in tickets:
            started.append(client.start(noise(), ticket))
            until(lambda ticket=ticket: client.state(ticket))
        assert [client.state(ticket)["before"] for ticket in tickets] == [0, 1, 2]
        answer = client.image(noise())
        assert answer.status == 429 and int(answer.headers["Retry-After"]) >= 1 and "3 requests" in answer.error
        gate.open()
        assert [connection.getresponse().status for connection in started] == [200, 200, 200]
        for connection in started:
            connection.close()
        assert client.image(noise()).status == 200


def test_clients_that_disconnect_leave_the_queue(cyclegan: LoadedModel) -> None:
    with served([cyclegan], Limits(queue=3)) as client, Gate(cyclegan) as gate:
        queue, layers = client.server.app.images.queue, []
        list(cyclegan.module.a_to_b.modules())[-1].register_forward_hook(lambda *_: layers.append(1))
        first, waiting = client.start(noise(), TICKET), client.start(noise(), "f" * 16)
        until(lambda: len(queue._line) == 2)
        until(gate.held.is_set)
        uploading = client.connect()
        body, headers = form({}, noise())
        uploading.request("POST", "/image", iter([body[:100]]), {**headers, "Content-Length": str(len(body))})
        until(lambda: len(queue._admitted) == 3)
        waiting.close()
        uploading.close()
        until(lambda: len(queue._admitted) == 1)
        job = queue._line[0]
        first.close()
        until(lambda: job.client_is_gone)
        assert len(queue._line) == 1, "it has its place until the model has stopped"
        gate.open()
        until(lambda: not queue._admitted and not queue._line)
        assert layers == [], "the model stopped at the next layer, and did not begin with the other"
        assert client.server.app.images.jobs == {}
        assert client.image(noise()).status == 200


def test_a_failure_is_answered_and_the_next_request_too(
    cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with served([cyclegan]) as client:
        with monkeypatch.context() as patched:
            patched.setattr(served_model, "_png", lambda _: 1 / 0)
            answer = client.image(noise())
            assert answer.status == 500 and "the terminal" in answer.error
            until(lambda: "ZeroDivisionError" in caplog.text)
        assert client.image(noise()).status == 200


def test_a_result_has_its_place_until_it_is_received(cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    result = bytes(30_000_000)  # more than sockets hold
    monkeypatch.setattr(served_model, "_png", lambda _: result)
    with served([cyclegan], Limits(queue=1)) as client:
        queue = client.server.app.images.queue
        with closing(client.start(noise())) as connection:
            response = connection.getresponse()
            assert response.status == 200 and not queue._line
            assert client.image(noise()).status == 429
            assert response.read() == result
            until(lambda: not queue._admitted)
        with closing(client.start(noise())) as connection:
            assert connection.getresponse().status == 200
        until(lambda: not queue._admitted)


def test_a_client_that_does_not_read_its_result_is_disconnected(
    cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(served_model, "_png", lambda _: bytes(30_000_000))
    with served([cyclegan]) as client, Gate(cyclegan) as gate, closing(client.start(noise())) as connection:
        until(gate.held.is_set)
        client.server.app.images.limits = Limits(upload_seconds=0.2)
        gate.open()
        until(lambda: not client.server.app.images.queue._admitted)
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            connection.getresponse().read()
    assert not caplog.records


def test_connections_without_a_request_end(cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.serving.server.REQUEST_SECONDS", 0.1)
    with served([cyclegan]) as client:
        for head in (b"", b"GET / HT"):
            with closing(client.connect()) as connection:
                connection.sock.sendall(head)
                assert connection.sock.recv(1) == b""
        assert client.get("/").status == 200


def test_twenty_uploads_at_once_are_all_answered_within_bounded_memory(
    cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, most_images, most_places = 0, 0, 0
    read = served_model.read_photograph

    def counted(*arguments: object) -> object:
        nonlocal images, most_images, most_places
        images += 1
        most_images, most_places = max(most_images, images), max(most_places, len(queue._admitted))
        return read(*arguments)

    monkeypatch.setattr(served_model, "read_photograph", counted)
    with served([cyclegan], Limits(queue=4)) as client:
        queue = client.server.app.images.queue
        work = queue._work

        def worked(*arguments: object) -> object:
            nonlocal images
            try:
                return work(*arguments)
            finally:
                images -= 1

        monkeypatch.setattr(queue, "_work", worked)
        upload = noise((96, 96))
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda _: client.image(upload), range(20)))
        statuses = [answer.status for answer in answers]
        assert set(statuses) <= {200, 429} and statuses.count(200) >= 4
        assert len({answer.body for answer in answers if answer.status == 200}) == 1
        assert most_places <= 4 and most_images == 1


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/", "/static/serve.html.j2", "//etc/passwd",
     "/../../etc/passwd", "/docs", "/openapi.json", "/queue/../../x", "/config.yaml", "/image", "/favicon.ico"],
)  # fmt: skip
def test_no_other_route_leads_to_a_file(path: str, cyclegan: LoadedModel) -> None:
    with served([cyclegan]) as client:
        assert client.get(path).status in (404, 405)


def test_what_a_client_gives_is_no_path(cyclegan: LoadedModel, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    with served([cyclegan]) as client:
        for field in ("model", "direction", "size", "strength"):
            assert client.image(noise(), **{field: "../../etc/passwd"}).status == 422, field
        assert client.image(noise(), model=1).status == 422 and client.image(noise(), checkpoint="x").status == 422
        for name in ("../../evil.png", "/tmp/evil.png", "a\\..\\evil.png"):
            body, headers = form({}, noise(), name=name)
            assert client.request("POST", "/image?ticket=../x", body, headers).status == 200
        for field, value in {"strength": "nan", "size": "1e999"}.items():
            assert client.image(noise(), **{field: value}).status == 422
        assert client.request("POST", "/image", b"{}", {"Content-Type": "application/json"}).status == 415
        assert client.request("POST", "/image", b"--x\r\nbroken", {"Content-Type": "multipart/form-data"}).status == 400
        many = form({f"field{number}": 1 for number in range(50)}, noise())
        assert client.request("POST", "/image", *many).status == 400
        assert client.image(noise(), direction="x" * 5000).status == 400
    assert set(tmp_path.rglob("*")) == before


def test_other_hosts_and_other_sites_are_refused(cyclegan: LoadedModel) -> None:
    with served([cyclegan]) as client:
        for host in ("example.org", "127.0.0.1.example.org", "192.168.0.7", "[::", "", "localhost.:80"):
            assert client.get("/", Host=host).status in (400, 403), host
        for host in ("localhost:9000", "127.0.0.1", "[::1]:80"):
            assert client.get("/", Host=host).status == 200, "a port that ssh forwards"
        body, headers = form({}, noise())
        own = f"127.0.0.1:{client.server.port}"
        for origin, status in {
            f"http://{own}": 200, "http://127.0.0.1:1": 403, "http://example.org": 403, "null": 403, "": 403,
        }.items():  # fmt: skip
            assert client.request("POST", "/image", body, {**headers, "Origin": origin}).status == status, origin


def test_a_token_is_needed_once_in_the_address_and_then_as_a_cookie_or_header(cyclegan: LoadedModel) -> None:
    with served([cyclegan], token=TOKEN) as client:
        assert client.server.url.endswith(f"/?token={TOKEN}")
        for path in (
            "/",
            "/static/serve.js",
            "/queue/x",
            "/?token=",
            "/?token=wrong",
            f"/static/serve.js?token={TOKEN}",
        ):
            assert client.get(path).status == 401, path
        assert client.image(noise()).status == 401 and client.get("/", Authorization="Bearer é").status == 401
        assert b"?token=" in client.get("/").body
        answer = client.get(f"/?token={TOKEN}")
        assert answer.status == 303 and answer.headers["Location"] == "/"
        cookie, *attributes = answer.headers["Set-Cookie"].split("; ")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(attributes) and str(client.server.port) in cookie
        body, headers = form({}, noise())
        for name, value in {"Cookie": cookie, "Authorization": f"Bearer {TOKEN}"}.items():
            assert client.get("/", **{name: value}).status == 200
            assert client.request("POST", "/image", body, {**headers, name: value}).status == 200
        forged = {**headers, "Cookie": cookie, "Origin": "http://example.org"}
        assert client.request("POST", "/image", body, forged).status == 403
        assert client.get("/", Host="192.168.0.7", Cookie=cookie).status == 200, "addresses cannot be rebound"
        assert client.get("/", Host="example.org", Cookie=cookie).status == 403


def test_tokens_are_compared_in_constant_time(cyclegan: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda *tokens: compared.append(tokens) or True)
    with served([cyclegan], token=TOKEN) as client:
        assert client.get("/", Authorization="Bearer x").status == 200
    assert compared == [(b"x", TOKEN.encode())]


def test_every_response_has_the_security_headers_and_the_page_no_outside_resource(cyclegan: LoadedModel) -> None:
    with served([cyclegan]) as client:
        page = client.get("/")
        for answer in (
            page,
            client.get("/static/serve.js"),
            client.get("/nothing"),
            client.get("/", Host="x"),
            client.image(b"x"),
        ):
            policy = answer.headers["Content-Security-Policy"]
            assert (
                "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy and "*" not in policy
            )
            assert (
                answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Cache-Control"] == "no-store"
            )
            assert answer.headers["Referrer-Policy"] == "no-referrer" and "Server" not in answer.headers
            assert "Access-Control-Allow-Origin" not in answer.headers
        text = page.body.decode()
        resources = re.findall(r'(?:src|href)="([^"]*)"', text)
        assert "/static/serve.js" in resources and all(each.startswith(("/static/", "data:,")) for each in resources)
        files = [client.get(each).body.decode() for each in resources if each.startswith("/")]
        for each in (text, *files):
            assert not re.search(r"https?:|//[a-z]|@import|url\(|\son\w+=|\sstyle=", each), (
                "nothing from elsewhere, nothing inline"
            )


def test_names_cannot_break_the_page_and_differ(cyclegan: LoadedModel) -> None:
    cyclegan.run = Path("<script>alert(1)<")
    with served([cyclegan, cyclegan]) as client:
        text = client.get("/").body.decode()
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert(1)&lt; 1 (CycleGAN)" in text and "&lt;script&gt;alert(1)&lt; 2 (CycleGAN)" in text


def test_mistakes_are_answered(
    runs: Callable[[str], str], cyclegan: LoadedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    for code, *words in (
        ("cli.too_large", "--port", "70000"), ("cli.too_large", "--max-megapixels", "101"), ("cli.too_small", "--queue", "0"),
        ("cli.too_small", "--time-limit", "0"), ("cli.too_small", "--time-limit", "nan"),
        ("cli.too_small", "--max-megabytes", "0"), ("serve.invalid_token", "--token", "short"),
        ("serve.invalid_token", "--token", "sixteen & more; of them"),
    ):  # fmt: skip
        with refused(code, words[0]):
            PARSERS["serve"](["run", *words])
    with refused("serve.no_token", "--host=0.0.0.0", "--token"):
        PageServer(App([], Limits()), "0.0.0.0", 0)
    assert run(["serve", "nowhere"]) == 2
    assert_refused(capsys.readouterr().err, "run.not_found", "nowhere")
    Path("damaged.safetensors").write_bytes(b"x")
    assert run(["serve", "damaged.safetensors"]) == 2
    assert_refused(capsys.readouterr().err, "export.unreadable", "damaged.safetensors")
    with served([cyclegan]) as client:
        assert run(["serve", runs("cyclegan"), "--port", str(client.server.port)]) == 2
        assert_refused(capsys.readouterr().err, "serve.address_unavailable", f"--port={client.server.port}")
    assert run(["serve", runs("cyclegan"), "--host", "203.0.113.1", "--port", "0"]) == 2
    assert_refused(capsys.readouterr().err, "serve.address_unavailable", "--host=203.0.113.1")


def test_a_missing_package_names_the_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("stylegan_lab.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.datastructures", None)
    assert run(["serve", "run"]) == 2
    assert_refused(capsys.readouterr().err, "serve.package_missing", "pip install 'stylegan_lab[serve]'")


@contextmanager
def process_that_ends(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that Ctrl-C ends even where it is ignored by what starts it, and that has two minutes."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with started as process:
        end = threading.Timer(120, process.kill)
        end.start()
        try:
            yield process
        finally:
            end.cancel()
            process.kill()


@pytest.mark.usefixtures(
    "fork_server", "forked_processes"
)  # the server has to start before tempfile.tempdir is patched
def test_the_command_prints_its_address_and_ends_with_ctrl_c(runs: Callable[[str], str]) -> None:
    command = [sys.executable, "-m", "stylegan_lab", "serve", runs("cyclegan"), "--port", "0", "--host", "0.0.0.0"]
    with process_that_ends(command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "cyclegan: CycleGAN, iteration 1\n"
        name, address = re.escape(socket.gethostname()), process.stdout.readline()
        found = re.fullmatch(
            rf"The page is at http://{name}:(\d+)/\?token=([\w-]{{32}}) \(end with Ctrl-C\)\n", address
        )
        assert found, "a token is made for other hosts"
        with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)) as connection:
            connection.request("GET", "/", headers={"Authorization": f"Bearer {found[2]}"})
            assert connection.getresponse().status == 200
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130 and out == "" and err == "no longer served\n"


def test_by_default_only_this_machine_is_served(
    runs: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    addresses: list[str] = []

    def end(server: PageServer) -> None:
        until(lambda: opened)
        addresses.append(server.socket.getsockname()[0])
        server.app.images.queue.close()
        server.socket.close()

    monkeypatch.setattr(PageServer, "run", end)
    assert run(["serve", runs("cyclegan"), runs("cgan"), "--port", "0", "--open"]) == 0
    assert addresses == ["127.0.0.1"] and re.fullmatch(r"http://127\.0\.0\.1:\d+/", opened[0])
    assert f"The page is at {opened[0]} (end" in capsys.readouterr().out


def test_ctrl_c_does_not_wait_for_the_model(cyclegan: LoadedModel) -> None:
    with served([cyclegan]) as client, Gate(cyclegan) as gate:
        connections = [client.start(noise()) for _ in range(2)]
        until(gate.held.is_set)
        until(lambda: len(client.server.app.images.queue._line) == 2)
        client.server.stop()
        until(lambda: not client.server.app.images.queue._line)
        gate.open()
    for connection in connections:
        connection.close()
