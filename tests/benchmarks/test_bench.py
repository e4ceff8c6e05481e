"""The benchmarks run without network and record what they say they measure. No test reads a time."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from benchmarks.bench import CASES, PRECISIONS
from benchmarks.training_step import FlopCounter

ROOT = Path(__file__).parent.parent.parent


pytestmark = pytest.mark.usefixtures("forked_processes_of_module")


def run(module: str, *arguments: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Any:
    output = tmp_path_factory.mktemp("bench") / "results.json"
    run("bench", "--quick", "--only", "steps,overhead", "--cases", "cyclegan,wgan_gp", "--output", str(output))
    return json.loads(output.read_text())


def test_each_training_step_has_its_rates_shares_and_memory(results: Any) -> None:
    assert [(row["case"], row["precision"]) for row in results["steps"]] == [
        (case, precision) for precision in PRECISIONS for case in ("cyclegan", "wgan_gp")
    ]
    for row in results["steps"]:
        assert row["losses_are_finite"] and row["flops"] > 0
        assert row["peak_memory_mb"]["median"] > row["memory_before_training_mb"]["median"]
        for key in ("images_per_second", "seconds", "cpu_seconds"):
            assert 0 < row[key]["min"] <= row[key]["median"] <= row[key]["max"] and row[key]["repeats"] == 1
        for kind in ("matmul", "convolution"):
            reached = row["flops"] / row["seconds"]["median"]
            assert row[f"share_of_{kind}_peak"] == pytest.approx(reached / row["peaks"][f"{kind}_flops"])


def test_flops_do_not_depend_on_the_precision(results: Any) -> None:
    flops = {(row["case"], row["precision"]): row["flops"] for row in results["steps"]}
    for case in ("cyclegan", "wgan_gp"):
        assert flops[case, "32"] == flops[case, "bf16"]


def test_the_environment_is_recorded(results: Any) -> None:
    assert {"versions", "commit", "processor", "cpu_count", "cpu_flags", "threads", "gpus"} <= results[
        "environment"
    ].keys()
    assert {"overhead_ms", "step_ms", "plain_loop_ms", "bare_lightning_ms"} <= results["overhead"].keys()


def test_translation_is_measured_on_a_folder_one_image_and_a_large_photograph(tmp_path: Path) -> None:
    run("bench", "--quick", "--only", "translate", "--output", str(tmp_path / "results.json"))
    measured = json.loads((tmp_path / "results.json").read_text())["translate"]
    for row in measured["folders"]:
        for key in ("images_per_second", "cpu_seconds_per_image", "warm_seconds", "command_seconds", "memory_mb"):
            assert row[key]["median"] > 0 and row[key]["repeats"] == 1, key
    assert measured["large"]["resnet_tiny"]["memory_mb"] > 0 and measured["megapixels"] > 1.5


@pytest.mark.parametrize("groups", [1, 3])
def test_flops_of_a_convolution_have_a_closed_form(groups: int) -> None:
    """Two per product, once forward and twice backward, also within a gradient penalty."""
    image = torch.randn(2, 3, 8, 8, requires_grad=True)
    weight = torch.randn(6, 3 // groups, 3, 3, requires_grad=True)
    with FlopCounter() as counter:
        output = F.conv2d(image, weight, padding=1, groups=groups)
        torch.autograd.grad(output.sum(), (image, weight))
    assert counter.flops == 3 * 2 * (2 * 8 * 8) * 6 * (3 // groups) * 9


def test_flops_of_a_transposed_convolution_have_a_closed_form() -> None:
    image, weight = torch.randn(2, 4, 8, 8, requires_grad=True), torch.randn(4, 3, 2, 2, requires_grad=True)
    with FlopCounter() as counter:
        output = F.conv_transpose2d(image, weight, stride=2, groups=2)
        torch.autograd.grad(output.sum(), (image, weight))
    assert counter.flops == 3 * 2 * (2 * 8 * 8) * 4 * 3 * 4


def test_every_variant_that_the_project_promises_is_measured() -> None:
    assert {case.name for case in CASES} == {"cyclegan", "pix2pix", "cut", "wgan_gp", "stylegan2", "r3gan"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_gpu_checklist_says_that_there_is_no_gpu(tmp_path: Path) -> None:
    said = run("gpu_checklist", "--output", str(tmp_path / "none.json"))
    assert said.count("\n") == 1 and "GPU" in said and not (tmp_path / "none.json").exists()


def test_the_gpu_checklist_can_be_tried_on_a_cpu(tmp_path: Path) -> None:
    output = tmp_path / "checks.json"
    run("gpu_checklist", "--cpu", "--only", "resume,dropout", "--output", str(output))
    checks = json.loads(output.read_text())["checks"]
    assert checks == {"resume": {"bit_exact": True}, "dropout": {"seeds_differ": True, "one_seed_agrees": True}}
