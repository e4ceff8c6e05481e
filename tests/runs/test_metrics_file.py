"""metrics.jsonl: it is followed while it grows, cut where a training resumes, and never left with half a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from stylegan_lab.runs.metrics_file import MetricsFollower, append_line, read_metrics, truncate_metrics


def write(path: Path, *rows: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def test_a_follower_returns_each_complete_row_once(tmp_path: Path) -> None:
    path, follower = tmp_path / "metrics.jsonl", MetricsFollower(tmp_path)
    assert list(follower.new_rows()) == [] and not follower.restarted, "the file does not exist yet"
    write(path, {"iteration": 1}, {"iteration": 2.5})
    assert list(follower.new_rows()) == [{"iteration": 1}, {"iteration": 2.5}] and follower.restarted
    assert list(follower.new_rows()) == [] and not follower.restarted
    with path.open("a") as file:
        file.write('{"iteration": 3}\n{"iter')
    assert list(follower.new_rows()) == [{"iteration": 3}]
    with path.open("a") as file:
        file.write('ation": 4}\n')
    assert list(follower.new_rows()) == [{"iteration": 4}], "a line is read when it is complete"


def test_a_follower_begins_again_after_a_truncation(tmp_path: Path) -> None:
    path, follower = tmp_path / "metrics.jsonl", MetricsFollower(tmp_path)
    write(path, *({"iteration": each} for each in (1, 2, 3)))
    assert len(list(follower.new_rows())) == 3
    truncate_metrics(path, 2)
    assert list(follower.new_rows()) == [{"iteration": 1}, {"iteration": 2}] and follower.restarted
    path.write_text('{"iteration": 9}\n')  # shorter, and perhaps the same inode
    assert list(follower.new_rows()) == [{"iteration": 9}] and follower.restarted


def test_a_follower_skips_lines_that_are_not_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('no JSON\n[1]\n{"loss": 1}\n{"iteration": "1"}\n{"iteration": 1}\n')
    assert list(MetricsFollower(tmp_path).new_rows()) == [{"iteration": 1}]


def test_a_resumed_training_writes_the_later_rows_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    rows = [
        {"iteration": 1, "loss": 1},
        {"iteration": 2, "loss": 2},
        {"iteration": 2, "val/l1": 3},
        {"iteration": 3, "loss": 4},
    ]
    truncate_metrics(path, 2)  # a run that has logged nothing
    assert not path.exists()
    write(path, *rows)
    truncate_metrics(path, 2)
    assert read_metrics(path) == rows[:3]
    truncate_metrics(path, 2, scores_pending=True)
    assert read_metrics(path) == rows[:2], "the scores at the iteration itself are computed again"


def test_a_line_that_does_not_fit_on_the_disk_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened = tmp_path / "metrics.jsonl", Path.open
    append_line(path, b"one\n")

    class FullDisk:
        """Writes half of what it is given, as an unbuffered file does on a disk that has become full."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> "FullDisk":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, line: bytes) -> int:
            return int(self.file.write(line[: len(line) // 2]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, *args, **keywords: FullDisk(opened(self, *args, **keywords)))
        with pytest.raises(OSError, match="No space left"):
            append_line(path, b"another\n")
    assert path.read_bytes() == b"one\n"
