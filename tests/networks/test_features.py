"""Feature networks: torchvision's sizes and names, frozen, with verified weights."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from stylegan_lab.files import download as fetch
from stylegan_lab.networks.features import weights
from stylegan_lab.networks.features.alexnet import alexnet
from stylegan_lab.networks.features.feature_net import FeatureExtractor, color_pyramid
from stylegan_lab.networks.features.squeezenet import squeezenet
from stylegan_lab.networks.features.vgg import vgg16, vgg19
from tests.refusals import refused

NETS = [vgg16, vgg19, alexnet, squeezenet]


@pytest.mark.parametrize(
    ("build", "count"), [(vgg16, 14_714_688), (vgg19, 20_024_384), (alexnet, 2_469_696), (squeezenet, 1_235_496)]
)
def test_parameter_counts_are_torchvisions(build: Callable[[str], FeatureExtractor], count: int) -> None:
    """Those of `features`; for SqueezeNet also of its classifier."""
    assert sum(parameter.numel() for parameter in build("random").net.parameters()) == count


def test_parameter_names_are_torchvisions() -> None:
    assert "features.28.weight" in vgg16("random").net.state_dict()
    names = squeezenet("random").net.state_dict().keys()
    assert {"features.3.squeeze.weight", "features.12.expand3x3.bias", "classifier.1.weight"} <= names


def test_layers_have_the_shapes_of_their_names() -> None:
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    features = vgg16("random")(image, ["relu1_2", "relu3_3", "relu5_1"])
    assert [tuple(each.shape[1:]) for each in features.values()] == [(64, 64, 64), (256, 16, 16), (512, 4, 4)]
    assert all(bool((each >= 0).all()) for each in features.values())
    with refused("config.unknown_choice", "relu9_1"):
        vgg16("random")(image, ["relu9_1"])


def test_images_are_normalized_as_imagenets() -> None:
    """[-1, 1] is mapped to [0, 1], then the mean is subtracted and the result divided by the standard std."""
    net = vgg16("random", width=0.25).net
    net.features[0] = nn.Identity()
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normalized = net.features[0]((torch.ones(1, 3, 8, 8) * 0.5 - net.mean) / net.std)
    assert torch.allclose(normalized[0, :, 0, 0], (0.5 - mean) / std)
    assert torch.allclose(net(torch.zeros(1, 3, 8, 8), ["relu1_1"])["relu1_1"][0, :, 0, 0], ((0.5 - mean) / std).relu())


def test_random_weights_are_always_the_same_and_leave_the_random_state_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = vgg19("random", width=0.25).net.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    other = vgg19("random", width=0.25).net.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("build", [partial(vgg16, width=0.25), alexnet, squeezenet])
def test_features_are_frozen_but_let_gradients_through(build: Callable[[str], FeatureExtractor]) -> None:
    features = build("random")
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    features(image, list(features.net.layer_indices)[-1:]).popitem()[1].sum().backward()
    assert image.grad is not None and float(image.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in features.net.parameters())
    assert not features.net.train().training, "never in training mode"


def test_color_pyramid_is_the_image_at_three_resolutions() -> None:
    image = torch.rand(2, 3, 16, 16)
    features = color_pyramid()(image, ["full", "half", "quarter"])
    assert [each.shape[-1] for each in features.values()] == [16, 8, 4]
    assert torch.allclose(features["quarter"].mean(dim=(2, 3)), features["full"].mean(dim=(2, 3)), atol=1e-6)


# Weights from files and downloads


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file(suffix: str, tmp_path: Path) -> None:
    state = {name: torch.randn_like(value) for name, value in alexnet("random").net.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state | {"classifier.6.weight": torch.zeros(2)}, path)
    else:
        save_file(state, path, {"format": "pt"})
    loaded = alexnet(str(path)).net.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


@pytest.fixture
def server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[Callable[[bytes], tuple[str, str]], list[str]]]:
    """Serves bytes; gives a function that returns their URL and hash, and the list of requests."""
    served: dict[str, bytes] = {}
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_response(200 if self.path in served else 404)
            self.send_header("Content-Length", str(len(served.get(self.path, b""))))
            self.end_headers()
            self.wfile.write(served.get(self.path, b""))

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()

    def serve(data: bytes) -> tuple[str, str]:
        served["/net.pth"] = data
        return f"http://127.0.0.1:{http.server_port}/net.pth", hashlib.sha256(data).hexdigest()

    yield serve, requests
    http.shutdown()
    http.server_close()


def test_weights_are_downloaded_once(server: tuple[Callable[[bytes], tuple[str, str]], list[str]]) -> None:
    serve, requests = server
    published = serve(b"numbers" * 1000)
    assert weights.published_file(*published).read_bytes() == b"numbers" * 1000
    assert weights.published_file(*published).is_file() and len(requests) == 1
    assert [path.name for path in fetch.cache_dir().iterdir()] == ["net.pth"]


def test_cached_file_with_a_wrong_hash_is_refused(server: tuple[Callable[[bytes], tuple[str, str]], list[str]]) -> None:
    serve, _ = server
    url, sha256 = serve(b"right")
    weights.published_file(url, sha256).write_bytes(b"wrong")
    with refused("download.checksum_mismatch", "net.pth", url):
        weights.published_file(url, sha256)


def test_download_with_a_wrong_hash_is_deleted(server: tuple[Callable[[bytes], tuple[str, str]], list[str]]) -> None:
    serve, _ = server
    url, sha256 = serve(b"right")
    with refused("download.checksum_mismatch", url, "cache/net.pth"):
        weights.published_file(url, "0" * 8 + sha256[8:])
    assert list(fetch.cache_dir().iterdir()) == []


def test_message_offline_names_the_url_and_the_cache_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(fetch.CACHE, str(tmp_path))
    monkeypatch.setitem(weights.PUBLISHED_WEIGHTS, "vgg16", ("http://127.0.0.1:9/vgg16-397923af.pth", "0"))
    with refused("download.unreachable", "http://127.0.0.1:9/vgg16-397923af.pth", f"{tmp_path}/vgg16-397923af.pth"):
        vgg16()


def test_published_hashes_match_the_file_names() -> None:
    for url, sha256 in weights.PUBLISHED_WEIGHTS.values():
        assert len(sha256) == 64 and url.endswith(f"-{sha256[:8]}.pth")


def test_missing_weights_file_is_an_error() -> None:
    with refused("weights.not_found", "features.weights=nowhere.pth"):
        vgg16("nowhere.pth")


@pytest.mark.parametrize(
    ("state", "needed", "looks_like"),
    [
        ("vgg16", vgg19, "vgg16"),
        ("vgg19", vgg16, "vgg19"),
        ("alexnet", squeezenet, "alexnet"),
        ("squeezenet", alexnet, "squeezenet1_1"),
        ({"layers.0.weight": torch.zeros(2), "layers.0.bias": torch.zeros(2)}, vgg16, "layers.0.weight, layers.0.bias"),
        ({}, vgg16, "empty"),
        ({"epoch": 3}, vgg16, "epoch"),
    ],
)
def test_weights_of_another_network_are_named(state: Any, needed: Any, looks_like: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(state, str):
        state = {build.__name__: build for build in NETS}[state]("random").net.state_dict()
    torch.save(state, path)
    with refused("weights.network_mismatch", str(path)) as error:
        needed(str(path))
    first, second = str(error.value).split("looks like ")
    assert needed.__name__ in first and looks_like in second and needed.__name__ in second


def test_weights_of_another_width_are_named_with_their_shapes(tmp_path: Path) -> None:
    torch.save(vgg16("random", width=0.25).net.state_dict(), tmp_path / "narrow.pth")
    with refused("weights.network_mismatch", "narrow.pth", "vgg16", "16x3x3x3", "64x3x3x3"):
        vgg16(str(tmp_path / "narrow.pth"))


def test_arrays_of_other_programs_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "weights.npy", np.zeros(3))
    with refused("weights.unknown_format", "weights.npy", "NumPy"):
        vgg16(str(tmp_path / "weights.npy"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_weights_file_is_an_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(b"PK")
    with refused("weights.unreadable", f"damaged{suffix}"):
        vgg16(str(path))


def test_truncated_safetensors_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "truncated.safetensors"
    save_file({"features.0.bias": torch.zeros(64)}, path)
    path.write_bytes(path.read_bytes()[:-4])
    with refused("weights.unreadable", "truncated.safetensors"):
        vgg16(str(path))


class Payload:
    """Creates a file when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_file_never_executes_code(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"malicious{suffix}"
    torch.save({"features.0.weight": Payload()}, path)
    with refused("weights.unreadable", f"malicious{suffix}"):
        vgg16(str(path))
    assert not Path("executed").exists()
