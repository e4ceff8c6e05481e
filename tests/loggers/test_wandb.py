"""Offline W&B records are read back: names, step axis, images, tables, scores, checkpoints, also of resumed runs."""

import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegan_lab.images.grid import grid, split_cells
from stylegan_lab.images.image_io import write_image
from stylegan_lab.loggers.jsonl_logger import JSONLLogger
from stylegan_lab.loggers.tensorboard import TensorBoardLogger
from stylegan_lab.loggers.wandb import GROUP, WandBLogger, WandBRun, end_wandb_service, run_summary, wandb_logger
from stylegan_lab.runs.checkpoint_index import CheckpointEntry, CheckpointIndex
from stylegan_lab.runs.run import Run
from tests.loggers.wandb_file import parts, records
from tests.refusals import refused
from tests.wandb_server import WandbServer

CONFIG = {
    "name": "tiny",
    "model": {"_target_": "mylab.simgan.SimGAN", "lr": 2e-5},
    "data": {"_target_": "mylab.Prints"},
}


def make_run(folder: Path, name: str | None = "tiny") -> Run:
    run = Run(folder)
    run.folder.mkdir(parents=True)
    run.record_config(CONFIG | {"name": name}, [], {"commit": "abc", "world_size": 1})
    return run


def log_training(run: Run, logger: WandBLogger, first: int, last: int) -> None:
    """Log losses, a score and samples per iteration, as callbacks do, to W&B and to metrics.jsonl."""
    jsonl = JSONLLogger(run.metrics)
    for iteration in range(first, last + 1):
        for values in ({"loss/discriminators_real": 1 / iteration}, {"val/ssim": 0.5 - abs(iteration - 3) / 10}):
            logger.log_metrics(values, step=iteration)
            jsonl.log_metrics(values, step=iteration)
    rows = [torch.full((3, 3, 8, 6), value) for value in (-1.0, 0.0)]
    path = write_image(grid(rows), run.samples / f"{last:06d}.png")
    logger.log_image("samples", [str(path)], step=last)
    logger.log_cells("samples_table", str(path), 2, 3, step=last)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Stopped after 4 iterations and resumed up to 6. The second part uploads a checkpoint."""
    run = make_run(tmp_path_factory.mktemp("wandb") / "runs" / "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("HOME", str(run.folder.parent.parent / "home"))
        first = WandBLogger(run, WandBRun(tags=["blue"]))
        log_training(run, first, 1, 4)
        first.finalize("success")
        run.checkpoints.mkdir()
        path = run.checkpoints / "000006.ckpt"
        path.write_bytes(b"weights")
        CheckpointIndex(run.checkpoints, [CheckpointEntry(path.name, 6, 7, "")], path.name).write()
        second = WandBLogger(run, WandBRun(tags=["blue"]), checkpoints=["best"])
        log_training(run, second, 5, 6)
        second.finalize("success")
    return run


def test_a_run_has_its_config_group_and_tags(resumed: Run) -> None:
    part = parts(resumed.folder)[0]
    assert part.config["model"] == CONFIG["model"] and part.config["environment"]["commit"] == "abc"
    assert (part.run.project, part.run.run_group, part.run.job_type) == ("stylegan_lab", "tiny", "train")
    assert set(part.run.tags) == {"Prints", "SimGAN", "blue"} and part.run.display_name == "runs/mine"


def test_everything_is_logged_by_iteration(resumed: Run) -> None:
    for part in parts(resumed.folder):
        assert [(metric.glob_name, metric.step_metric) for metric in part.metrics] == [("*", "iteration")]
    rows = parts(resumed.folder)[0].rows
    assert [row["iteration"] for row in rows if "loss/discriminators_real" in row] == [1, 2, 3, 4]
    assert [row["iteration"] for row in rows if "samples.filenames" in row or "samples_table.path" in row] == [4, 4]


def test_a_resumed_run_is_one_run_in_parts(resumed: Run) -> None:
    first, second = parts(resumed.folder)
    assert first.run.run_id == second.run.run_id == (resumed.folder / "wandb" / "id").read_text()
    assert [row["iteration"] for row in first.rows + second.rows if "val/ssim" in row] == [1, 2, 3, 4, 5, 6]
    assert first.ended and second.ended


def test_logged_images_are_the_sample_grids(resumed: Run) -> None:
    part = parts(resumed.folder)[0]
    (name,) = next(row["samples.filenames"] for row in part.rows if "samples.filenames" in row)
    assert pixels(part.folder / "files" / name) == pixels(resumed.samples / "000004.png")


def test_a_table_has_a_row_per_input(resumed: Run) -> None:
    part = parts(resumed.folder)[0]
    (artifact,) = part.artifacts
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    assert all(path.is_relative_to(resumed.folder) for path in files.values())
    table = json.loads(files["samples_table.table.json"].read_text())
    assert table["columns"] == ["iteration", "input", "row 1", "row 2"]
    assert [line[:2] for line in table["data"]] == [[4, 0], [4, 1], [4, 2]]
    black, gray = (pixels(files[cell["path"]]) for cell in table["data"][0][2:])
    assert set(black) == {(0, 0, 0)} and len(black) == 48 and set(gray) == {(128, 128, 128)}


def test_the_summary_has_the_latest_and_the_best_scores_of_all_parts(resumed: Run) -> None:
    first, second = (part.summary for part in parts(resumed.folder))
    assert (first["val/ssim"], first["best/val/ssim"]) == (0.4, 0.5)
    assert (second["val/ssim"], second["best/val/ssim"]) == (pytest.approx(0.2), 0.5)


def test_the_summary_has_the_best_of_every_score_with_a_known_direction(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "config.yaml").write_text("{}")
    run.metrics.write_text("".join(
        json.dumps({"iteration": at, "val/fid_untrained": fid, "val/class_consistency": fid, "val/other": fid, "val/l1": fid})
        + "\n" for at, fid in enumerate([2.0, 1.0, math.nan, 3.0])
    ))  # fmt: skip
    assert {name for name in run_summary(run) if "best" in name} == {"best/val/l1"}, (
        "without protocol.json only the built-in metrics"
    )
    run.record_protocol({"better": {"val/fid_untrained": "lower", "val/class_consistency": "higher"}})
    summary = run_summary(run)
    assert (summary["best/val/fid_untrained"], summary["best/val/class_consistency"]) == (1, 3)
    assert summary["val/other"] == 3 and "best/val/other" not in summary and summary["best/val/l1"] == 1


def test_checkpoints_are_artifacts_on_request(resumed: Run) -> None:
    first, second = ([each for each in part.artifacts if each.type == "model"] for part in parts(resumed.folder))
    (artifact,) = second
    assert first == [] and {"best", "000006"} <= set(artifact.aliases)
    assert json.loads(artifact.metadata)["best/val/ssim"] == 0.5
    (entry,) = artifact.manifest.contents
    assert Path(entry.local_path).read_bytes() == b"weights" and Path(entry.local_path).is_relative_to(resumed.folder)
    with refused("config.unknown_choice", "logger.wandb.checkpoints", "newest", "last, best"):
        wandb_logger(resumed, checkpoints=["newest"])


def test_nothing_is_written_outside_the_run(resumed: Run) -> None:
    assert [path.name for path in resumed.folder.parent.parent.iterdir()] == ["runs"]
    assert [path.name for path in resumed.folder.parent.iterdir()] == ["mine"]


def test_an_incomplete_part_is_read_as_far_as_possible(resumed: Run) -> None:
    path = min(resumed.folder.glob("wandb/offline-run-*/run-*.wandb"))
    data = path.read_bytes()
    found = [len(list(records(data[:end]))) for end in range(7, len(data), 997)]
    assert found == sorted(found) and found[0] == 0 and found[-1] < len(list(records(data)))


def test_trials_of_a_sweep_and_seeds_share_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "sweep" / "0")
    for sweep in ("sweep", None):  # the second time without it, as `evaluate` and `resume=` are
        monkeypatch.setenv(GROUP, sweep) if sweep else monkeypatch.delenv(GROUP)
        WandBLogger(run, WandBRun()).finalize("success")
    WandBLogger(run, WandBRun(group="mine")).finalize("success")
    assert [part.run.run_group for part in parts(run.folder)] == ["sweep", "sweep", "mine"]
    assert parts(run.folder)[0].run.display_name == "sweep/0"


def test_a_run_without_a_name_is_grouped_by_its_model(tmp_path: Path) -> None:
    run = make_run(tmp_path / "mine", name=None)
    WandBLogger(run, WandBRun()).finalize("success")
    assert parts(run.folder)[0].run.run_group == "simgan"


def test_with_a_key_and_a_server_a_run_is_online_and_resumes_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = make_run(tmp_path / "run")
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with WandbServer().serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        end_wandb_service()  # that of another test knows another server
        for first, last in ((1, 4), (5, 6)):
            logger = WandBLogger(run, WandBRun(), tables=False)
            log_training(run, logger, first, last)
            logger.finalize("success")
    (rows,) = server.history.values()
    assert [row["iteration"] for row in rows if "val/ssim" in row] == [1, 2, 3, 4, 5, 6]
    assert parts(run.folder) == [] and len([name for name in server.files if "samples" in name]) == 2


def test_a_run_after_one_whose_service_was_ended_has_a_service_of_its_own(tmp_path: Path) -> None:
    left = WandBLogger(make_run(tmp_path / "left"), WandBRun(), tables=False)
    left.log_metrics({"loss/x": 1.0}, step=1)
    end_wandb_service()
    end_wandb_service()  # does nothing, as none is left
    run = make_run(tmp_path / "next")
    logger = WandBLogger(run, WandBRun(), tables=False)
    log_training(run, logger, 1, 2)
    logger.finalize("success")
    (part,) = parts(run.folder)
    assert part.ended and [row["iteration"] for row in part.rows if "val/ssim" in row] == [1, 2]


def test_tensorboard_has_the_same_names_at_the_same_iterations(resumed: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(resumed.folder / "tensorboard")
    logger.log_cells = lambda *_, **__: None  # type: ignore[attr-defined]  # only W&B has tables
    log_training(make_run(resumed.folder / "tensorboard" / "run"), logger, 1, 4)  # type: ignore[arg-type]
    logger.finalize("success")
    events = EventAccumulator(str(resumed.folder / "tensorboard"))
    events.Reload()
    part = parts(resumed.folder)[0]
    assert {*events.Tags()["scalars"], *events.Tags()["images"]} == part.names() - {"samples_table"}
    for name in events.Tags()["scalars"]:
        logged = [(row["iteration"], pytest.approx(row[name])) for row in part.rows if name in row]
        assert [(event.step, event.value) for event in events.Scalars(name)] == logged


def test_splitting_a_grid_returns_its_cells() -> None:
    rows = [torch.rand(3, 3, 8, 6), torch.rand(3, 3, 8, 6)]
    image = Image.fromarray((grid(rows) * 255).byte().permute(1, 2, 0).numpy())
    cells = split_cells(image, 2, 3)
    assert [[cell.size for cell in row] for row in cells] == [[(6, 8)] * 3] * 2
    last = torch.tensor(pixels_of(cells[1][2])).view(8, 6, 3).permute(2, 0, 1)
    assert torch.equal(last, (rows[1][2] * 255).byte())


def pixels(path: Path) -> list[tuple[int, ...]]:
    with Image.open(path) as image:
        return pixels_of(image)


def pixels_of(image: Image.Image) -> list[tuple[int, ...]]:
    data = image.convert("RGB").tobytes()
    return [tuple(data[start : start + 3]) for start in range(0, len(data), 3)]
