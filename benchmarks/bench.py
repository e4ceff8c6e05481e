"""Benchmarks of training steps, data, evaluation, start-up, overhead, two runs at once and translation (docs/performance.md).

    python -m benchmarks.bench                               # about twenty minutes on 2 cores; no network
    python -m benchmarks.bench --quick --only steps,startup  # small networks and images, to check that it runs
    python -m benchmarks.bench --peer CHECKOUT --only peer   # compare with a checkout of the reference code (benchmarks/peer.py)

Each training runs in its own process, so that its peak memory can be measured. Repeats are interleaved: the first repeat of
every case is run before the second repeat of any case, so that other load on the machine affects all cases alike. Set
OMP_NUM_THREADS=1 on a machine with other load: OpenMP threads that wait for each other spin, and the spinning counts as CPU
seconds.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks import commands, data_loading, translate
from benchmarks.machine import describe_machine
from benchmarks.measure import RESULTS, Cost, cost_of, own_process, summary, table, write_results
from stylegan_lab.training.hardware import supports_bf16


class Case(NamedTuple):
    """A training whose step is measured. `cycle` is the number of iterations after which each of its regularizers has run once."""

    name: str
    overrides: Sequence[str]
    quick_overrides: Sequence[str]
    cycle: int = 1
    steps: int = 2


TINY = ("generator=resnet_tiny", "discriminator=patch_tiny", "data.size=32")
SLIM = ("generator.channels=4", "discriminator.channels=4")
STYLEGAN2_QUICK = (*SLIM, "data.size=16", "data.batch_size=4")
R3GAN_QUICK = ("generator=r3gan_small", "discriminator=r3gan_small", "data.size=16", "data.batch_size=2")
CASES = [
    Case("cyclegan", ["model=cyclegan", "data.size=256"], TINY),
    Case("pix2pix", ["model=pix2pix", "data.size=256"], TINY, steps=4),
    Case("cut", ["model=cut", "data.size=256"], TINY),
    Case("wgan_gp", ["model=wgan_gp", "data.size=32", "data.batch_size=64"], (*SLIM, "data.batch_size=2"), 5, 5),
    Case("stylegan2", ["model=stylegan2", "data.size=64", "data.batch_size=8"], STYLEGAN2_QUICK, 16, 16),
    Case("r3gan", ["model=r3gan", "data.size=32", "data.batch_size=16"], R3GAN_QUICK, steps=4),
]  # fmt: skip
PRECISIONS = ("32", "bf16")
SECTIONS = ("steps", "data", "evaluation", "startup", "overhead", "two_runs", "translate", "peer")


def main() -> None:
    arguments = parse_arguments()
    results: dict[str, Any] = {"date": str(date.today()), "quick": arguments.quick, "environment": describe_machine()}
    print(f"{results['environment']['processor']}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for section in arguments.only:
        if section == "peer" and arguments.peer is None:
            continue
        print(f"\n{section}\n", flush=True)
        results[section] = MEASUREMENTS[section](arguments)
    write_results(arguments.output, results)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny networks and one repeat: shows that everything runs")
    parser.add_argument(
        "--only", type=names(SECTIONS), default=SECTIONS, metavar="SECTIONS", help=f"of {', '.join(SECTIONS)}"
    )
    parser.add_argument(
        "--cases",
        type=names([case.name for case in CASES]),
        default=[case.name for case in CASES],
        help="training steps to measure",
    )
    parser.add_argument("--repeats", type=int, default=3, help="of each case (default 3; with --quick 1)")
    parser.add_argument("--size", type=int, default=256, help="pixels of the images that --peer compares on")
    help_megapixels = "of the photograph whose memory translate measures"
    parser.add_argument("--megapixels", type=float, default=12, help=f"{help_megapixels} (default 12)")
    parser.add_argument("--peer", type=Path, metavar="DIR", help="a checkout of the reference code")
    parser.add_argument("--output", type=Path, help="the JSON (default benchmarks/results/bench.json)")
    arguments = parser.parse_args()
    arguments.repeats = 1 if arguments.quick else arguments.repeats
    name = "bench_quick.json" if arguments.quick else "bench.json"
    arguments.output = arguments.output or RESULTS / name
    return arguments


def names(choices: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        if unknown := set(given := text.split(",")) - set(choices):
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {', '.join(choices)}")
        return given

    return parse


def steps(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure training steps in float32 and bf16, and the FLOP/s that the machine reaches at the same time."""
    cases = [case for case in CASES if case.name in arguments.cases]
    precisions = measured_precisions(arguments.quick)
    peaks: dict[str, list[dict[str, Any]]] = {precision: [] for precision in precisions}
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(arguments.repeats):
        for precision in precisions:
            peaks[precision].append(own_process("machine", {"precision": precision, "quick": arguments.quick}))
            for case in cases:
                runs.setdefault((case.name, precision), []).append(run_case(case, precision, arguments.quick))
    rows = [describe_steps(name, precision, found, peaks[precision]) for (name, precision), found in runs.items()]
    print(table([printed(row) for row in rows]))
    return rows


def measured_precisions(quick: bool) -> Sequence[str]:
    """Return the precisions to measure. On hardware without bf16, PyTorch computes it up to 100 times slower, so only quick
    benchmarks measure it there."""
    return PRECISIONS if quick or supports_bf16("auto") else PRECISIONS[:1]


def run_case(case: Case, precision: str, quick: bool) -> dict[str, Any]:
    overrides = [*case.overrides, *(case.quick_overrides if quick else ())]
    steps = case.cycle if quick else case.steps
    return own_process(
        "training_step", {"overrides": overrides, "precision": precision, "warmup": case.cycle, "steps": steps}
    )


def describe_steps(
    name: str, precision: str, runs: list[dict[str, Any]], peaks: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the medians of a case. Its FLOP/s, by wall time and per CPU second, are given as shares of the FLOP/s of the
    machine."""
    row: dict[str, Any] = {
        "case": name,
        "precision": precision,
        "size": runs[0]["size"],
        "batch_size": runs[0]["batch_size"],
    }
    for key in ("images_per_second", "seconds", "cpu_seconds", "peak_memory_mb", "memory_before_training_mb"):
        row[key] = summary([run[key] for run in runs])
    row["gpu_memory_mb"] = runs[0]["gpu_memory_mb"]
    row["flops"], row["losses_are_finite"] = runs[0]["flops"], all(run["losses_are_finite"] for run in runs)
    best = {key: max(peak[key] for peak in peaks) for key in peaks[0]}
    row["peaks"] = best
    for kind in ("matmul", "convolution"):
        row[f"share_of_{kind}_peak"] = row["flops"] / row["seconds"]["median"] / best[f"{kind}_flops"]
        per_cpu_second = row["flops"] / row["cpu_seconds"]["median"]
        row[f"share_of_{kind}_peak_per_cpu_second"] = per_cpu_second / best[f"{kind}_flops_per_cpu_second"]
    return row


def printed(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "case": row["case"],
        "precision": row["precision"],
        "px": row["size"],
        "batch": row["batch_size"],
        "images/s": spread(row["images_per_second"]),
        "CPU s a step": spread(row["cpu_seconds"]),
        "GFLOP a step": row["flops"] / 1e9,
        "of the convolution peak": f"{row['share_of_convolution_peak_per_cpu_second']:.0%}",
        "of the matmul peak": f"{row['share_of_matmul_peak_per_cpu_second']:.0%}",
        "peak MB": row["peak_memory_mb"]["median"],
    }


def spread(values: dict[str, float]) -> str:
    return f"{values['median']:.3g} ({values['min']:.3g} to {values['max']:.3g})"


def data(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run benchmarks/data_loading.py on generated images."""
    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as temporary:
        (folder := Path(temporary) / "images").mkdir()
        data_loading.generate_images(folder, 2 * data_loading.BATCH if arguments.quick else data_loading.NUM_GENERATED)
        measured = data_loading.measure(folder, Path(temporary) / "cache", arguments.repeats)
    torch.set_num_threads(threads)
    measured["images_per_second"] = {name: summary(values) for name, values in measured.pop("warm").items()}
    rows = measured["images_per_second"].items()
    print(
        table(
            [
                {"loader": name, "images/s": spread(values), "first epoch": measured["cold"][name]}
                for name, values in rows
            ]
        )
    )
    return measured


def evaluation(arguments: argparse.Namespace) -> dict[str, Any]:
    settings = {"images": 8, "size": 32, "generator": "resnet_tiny", "features": 16} if arguments.quick else {}
    measured = own_process("evaluation", settings)
    print(table([{"what": name, **values} for name, values in measured.items()]))
    return measured


def startup(arguments: argparse.Namespace) -> dict[str, Any]:
    return costs([commands.startup(arguments.quick) for _ in range(arguments.repeats)])


def overhead(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the milliseconds that Lightning and this package add to a training step."""
    measured = [own_process("overhead", {"steps": 20 if arguments.quick else 500}) for _ in range(arguments.repeats)]
    rows = {key: summary([each[key] for each in measured]) for key in measured[0]}
    print(table([{"what": name, "value": spread(values)} for name, values in rows.items()]))
    return rows


def two_runs(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the cost of two trainings at once, relative to the cost of one training."""
    iterations = 4 if arguments.quick else 40
    measured = costs([commands.two_runs(iterations) for _ in range(arguments.repeats)])
    one, two = measured["one"], measured["two"]
    ratios = {key: two[key]["median"] / one[key]["median"] for key in ("seconds", "cpu_seconds")}
    print(
        f"\ntwo at once take {ratios['seconds']:.2f} times as long as one, and {ratios['cpu_seconds']:.2f} times the CPU seconds"
    )
    return measured | {"iterations": iterations, "ratios": ratios}


def translation(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure the translation of a folder, of one image and of a large photograph, with PyTorch and, if it is installed,
    with ONNX Runtime."""
    quick = arguments.quick
    count, side, megapixels = (4, 32, 1.6) if quick else (100, 256, arguments.megapixels)
    generators = ["resnet_tiny"] if quick else ["resnet9", "resnet_small"]
    overrides = ["generator.blocks=0", "generator.n_downsample=1"] if quick else []
    has_onnx = all(map(importlib.util.find_spec, ("onnxscript", "onnxruntime")))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = translate.make_images(folder / "images", count, side, side)
        width = int((1.5 * megapixels * 1e6) ** 0.5)
        photo = translate.make_images(folder / "photo", 1, width, int(width / 1.5))
        models: dict[tuple[str, str], Path] = {}
        for generator in generators:
            models[generator, "PyTorch"] = made = translate.make_run(folder / generator, generator, *overrides)
            if has_onnx:
                models[generator, "ONNX Runtime"] = translate.make_onnx(made)
        runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for _ in range(arguments.repeats):
            for key, model in models.items():
                settings = {"model": str(model), "images": str(images), "count": count, "warm": 5}
                found = own_process("translate", settings)
                first = str(min(images.iterdir()))
                command = ["translate", str(model), first, str(folder / "out.png")]
                found["command_seconds"] = cost_of(lambda command=command: commands.run(command)).wall  # type: ignore[misc]
                runs.setdefault(key, []).append(found)
        large = {
            generator: own_process("translate", {"model": str(folder / generator), "images": str(photo), "count": 1})
            for generator in generators[:1]
        }
    rows = [
        {"generator": key[0], "runtime": key[1], **{name: summary([run[name] for run in found]) for name in found[0]}}
        for key, found in runs.items()
    ]
    shown = {
        "images_per_second": "images/s", "cpu_seconds_per_image": "CPU s an image", "warm_seconds": "s an image, loaded",
        "command_seconds": "s, whole command", "memory_mb": "MB",
    }  # fmt: skip
    print(
        table(
            [
                {
                    "generator": row["generator"],
                    "runtime": row["runtime"],
                    **{title: spread(row[name]) for name, title in shown.items()},
                }
                for row in rows
            ]
        )
    )
    for generator, found in large.items():
        print(f"\n{megapixels:g} megapixels with {generator}: {found['memory_mb']:.0f} MB above the imports")
    return {"count": count, "size": side, "folders": rows, "megapixels": megapixels, "large": large}


def costs(repeats: Sequence[dict[str, Cost]]) -> dict[str, Any]:
    found = {
        name: {
            "seconds": summary([each[name].wall for each in repeats]),
            "cpu_seconds": summary([each[name].cpu for each in repeats]),
        }
        for name in repeats[0]
    }
    print(
        table(
            [
                {"what": name, "seconds": spread(each["seconds"]), "CPU s": spread(each["cpu_seconds"])}
                for name, each in found.items()
            ]
        )
    )
    return found


def peer(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compare the same training step in the reference code and in this package, in float32 and under autocast."""
    folder = str(arguments.peer.resolve())
    models = [
        model
        for model in own_process("peer", {"folder": folder, "list_models": True})["models"]
        if model in arguments.cases
    ]
    agreement = {
        model: own_process("peer", {"folder": folder, "model": model, "compare_losses": True}) for model in models
    }
    for model, found in agreement.items():
        print(
            f"{model}: losses differ by {found['relative_difference']:.1e} of their values on equal weights and images"
        )
        if not found["agree"]:
            raise SystemExit(f"{model}: the losses differ, so the steps cannot be compared: {found['losses']}")
    runs: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for _ in range(arguments.repeats):
        for model, code, precision in combinations(models):
            settings = {"precision": precision, "steps": 2}
            if code == "reference":
                settings |= {"folder": folder, "model": model, "size": arguments.size}
            else:
                settings |= {"overrides": [f"model={model}", f"data.size={arguments.size}"], "count_flops": False}
            found = own_process("peer" if code == "reference" else "training_step", settings)
            runs.setdefault((model, code, precision), []).append(found)
    rows = [describe_peer(key, found) for key, found in runs.items()]
    for row in rows:
        other = next(
            each
            for each in rows
            if each["model"] == row["model"] and (each["code"], each["precision"]) == ("reference", row["precision"])
        )
        row["speed_over_reference"] = other["cpu_seconds"]["median"] / row["cpu_seconds"]["median"]
    print(table([printed_peer(row) for row in rows]))
    return {"agreement": agreement, "steps": rows}


def combinations(models: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    return product(models, measured_precisions(False), ("reference", "ours"))


def describe_peer(key: tuple[str, str, str], runs: list[dict[str, Any]]) -> dict[str, Any]:
    keys = ("images_per_second", "seconds", "cpu_seconds", "peak_memory_mb")
    return {
        **dict(zip(("model", "code", "precision"), key, strict=True)),
        "size": runs[0]["size"],
        "batch_size": runs[0]["batch_size"],
        "gpu_memory_mb": runs[0]["gpu_memory_mb"],
        **{name: summary([run[name] for run in runs]) for name in keys},
    }


def printed_peer(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": row["model"],
        "code": row["code"],
        "precision": row["precision"],
        "CPU s a step": spread(row["cpu_seconds"]),
        "s a step": spread(row["seconds"]),
        "peak MB": row["peak_memory_mb"]["median"],
        "speed over the reference, same precision": row["speed_over_reference"],
    }


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "steps": steps, "data": data, "evaluation": evaluation, "startup": startup, "overhead": overhead, "two_runs": two_runs,
    "translate": translation, "peer": peer,
}  # fmt: skip

if __name__ == "__main__":
    main()
