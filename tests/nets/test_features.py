"""Feature nets: as large as the published ones, out of what is trained and saved, and never silently random."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stylegan_lab import fetch
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.features import weights
from stylegan_lab.nets.features.alexnet import alexnet
from stylegan_lab.nets.features.colours import colours
from stylegan_lab.nets.features.feature_net import Features
from stylegan_lab.nets.features.squeezenet import squeezenet
from stylegan_lab.nets.features.vgg import vgg16, vgg19

NETS = [vgg16, vgg19, alexnet, squeezenet]


@pytest.mark.parametrize(
    ("build", "count"), [(vgg16, 14_714_688), (vgg19, 20_024_384), (alexnet, 2_469_696), (squeezenet, 1_235_496)]
)
def test_parameter_counts_are_torchvision_s(build: Callable[[str], Features], count: int) -> None:
    """Of `features`, and SqueezeNet with its classifier."""
    assert sum(parameter.numel() for parameter in build("random").net.parameters()) == count


def test_names_are_torchvision_s() -> None:
    assert "features.28.weight" in vgg16("random").net.state_dict()
    names = squeezenet("random").net.state_dict().keys()
    assert {"features.3.squeeze.weight", "features.12.expand3x3.bias", "classifier.1.weight"} <= names


def test_taps_are_where_their_names_say() -> None:
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    maps = vgg16("random")(image, ["relu1_2", "relu3_3", "relu5_1"])
    assert [tuple(each.shape[1:]) for each in maps.values()] == [(64, 64, 64), (256, 16, 16), (512, 4, 4)]
    assert all(bool((each >= 0).all()) for each in maps.values())
    with pytest.raises(Mistake, match="relu9_1"):
        vgg16("random")(image, ["relu9_1"])


def test_images_are_seen_as_imagenet_s() -> None:
    """[-1, 1] becomes [0, 1], less the mean, over the deviation."""
    net = vgg16("random", width=0.25).net
    net.features[0] = nn.Identity()
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen = net.features[0]((torch.ones(1, 3, 8, 8) * 0.5 - net.mean) / net.deviation)
    assert torch.allclose(seen[0, :, 0, 0], (0.5 - mean) / deviation)
    assert torch.allclose(
        net(torch.zeros(1, 3, 8, 8), ["relu1_1"])["relu1_1"][0, :, 0, 0], ((0.5 - mean) / deviation).relu()
    )


def test_untrained_weights_are_the_same_each_time_and_take_no_chance_from_others() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    one = vgg19("random", width=0.25).net.state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(10)
    other = vgg19("random", width=0.25).net.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("build", [partial(vgg16, width=0.25), alexnet, squeezenet])
def test_features_are_frozen_but_let_gradients_through(build: Callable[[str], Features]) -> None:
    features = build("random")
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    features(image, list(features.net.taps)[-1:]).popitem()[1].sum().backward()
    assert image.grad is not None and float(image.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in features.net.parameters())
    assert not features.net.train().training, "never in training mode"


def test_colours_are_the_picture_at_three_scales() -> None:
    image = torch.rand(2, 3, 16, 16)
    maps = colours()(image, ["full", "half", "quarter"])
    assert [each.shape[-1] for each in maps.values()] == [16, 8, 4]
    assert torch.allclose(maps["quarter"].mean(dim=(2, 3)), maps["full"].mean(dim=(2, 3)), atol=1e-6)


# Weights from files and from afar.


def safetensors(tensors: dict[str, torch.Tensor]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    numbers = b""
    for name, tensor in tensors.items():
        part = tensor.numpy().tobytes()
        offsets = [len(numbers), len(numbers) + len(part)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
        numbers += part
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + numbers


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_come_from_a_file(suffix: str, tmp_path: Path) -> None:
    state = {name: torch.randn_like(value) for name, value in alexnet("random").net.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state | {"classifier.6.weight": torch.zeros(2)}, path)
    else:
        path.write_bytes(safetensors(state))
    loaded = alexnet(str(path)).net.state_dict()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


@pytest.fixture
def server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[Callable[[bytes], tuple[str, str]], list[str]]]:
    """Serves bytes under a known name; returns their address, and what was asked for."""
    served: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
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

    yield serve, asked
    http.shutdown()
    http.server_close()


def test_weights_are_fetched_once(server: tuple[Callable[[bytes], tuple[str, str]], list[str]]) -> None:
    serve, asked = server
    known = serve(b"numbers" * 1000)
    assert weights.known_weights(*known).read_bytes() == b"numbers" * 1000
    assert weights.known_weights(*known).is_file() and len(asked) == 1
    assert [path.name for path in fetch.cache_folder().iterdir()] == ["net.pth"]


def test_wrong_bytes_are_never_used(server: tuple[Callable[[bytes], tuple[str, str]], list[str]]) -> None:
    serve, _ = server
    url, sha256 = serve(b"right")
    weights.known_weights(url, sha256).write_bytes(b"wrong")
    with pytest.raises(Mistake, match=rf"is not what it should be \(SHA-256 .*delete it, fetch {url} and put it there"):
        weights.known_weights(url, sha256)


def test_a_download_of_wrong_bytes_leaves_nothing(server: tuple[Callable[[bytes], tuple[str, str]], list[str]]) -> None:
    serve, _ = server
    url, sha256 = serve(b"right")
    with pytest.raises(Mistake, match="gives another file than is expected .*put it at .*/cache/net.pth"):
        weights.known_weights(url, "0" * 8 + sha256[8:])
    assert list(fetch.cache_folder().iterdir()) == []


def test_offline_the_address_and_the_place_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(fetch.CACHE, str(tmp_path))
    monkeypatch.setitem(weights.KNOWN, "vgg16", ("http://127.0.0.1:9/vgg16-397923af.pth", "0"))
    with pytest.raises(
        Mistake,
        match=rf"http://127.0.0.1:9/vgg16-397923af.pth cannot be fetched .*put it at {tmp_path}/vgg16-397923af.pth",
    ):
        vgg16()


def test_the_hashes_are_whole_and_begin_as_the_files_names_end() -> None:
    for url, sha256 in weights.KNOWN.values():
        assert len(sha256) == 64 and url.endswith(f"-{sha256[:8]}.pth")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="features.weights=nowhere.pth: there is no such file; give imagenet, random"):
        vgg16("nowhere.pth")
    (tmp_path / "torn.pth").write_bytes(b"PK")
    with pytest.raises(Mistake, match="torn.pth cannot be read as weights"):
        vgg16(str(tmp_path / "torn.pth"))
