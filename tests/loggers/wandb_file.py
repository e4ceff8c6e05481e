"""Reads offline W&B records: protobuf messages in LevelDB's log format, 32 KiB blocks after a header of 7 bytes."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, FULL, FIRST, MIDDLE, LAST = 32768, 1, 2, 3, 4


class WandbFile:
    """A part of a run: its run record, history, last summary, metrics, artifacts, and whether it was finished."""

    def __init__(self, path: Path) -> None:
        from wandb.proto import wandb_internal_pb2 as pb

        self.folder = path.parent
        self.rows: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.metrics: list[Any] = []
        self.artifacts: list[Any] = []
        self.ended = False
        for raw in records(path.read_bytes()):
            record = pb.Record()
            record.ParseFromString(raw)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                self.run, self.config = record.run, values(record.run.config.update)
            elif kind == "history":
                self.rows.append(values(record.history.item))
            elif kind == "summary":
                self.summary |= values(record.summary.update)
            elif kind == "metric":
                self.metrics.append(record.metric)
            elif kind == "artifact":
                self.artifacts.append(record.artifact)
            self.ended |= kind == "exit"

    def names(self) -> set[str]:
        """Return the logged names, without those that W&B adds."""
        return {name.split(".")[0] for row in self.rows for name in row if not name.startswith("_")} - {"iteration"}


def parts(run: Path, finished: bool = True) -> list[WandbFile]:
    """Return a part per session or evaluation, in order. W&B writes the end in the background: wait for it."""
    deadline = time.monotonic() + 20
    while True:
        found = [WandbFile(path) for path in sorted(run.glob("wandb/offline-run-*/run-*.wandb"))]
        if not finished or all(part.ended for part in found):
            return found
        assert time.monotonic() < deadline
        time.sleep(0.02)


def values(items: Any) -> dict[str, Any]:
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def records(data: bytes) -> Iterator[bytes]:
    """Yield the complete records."""
    at, partial = 7, b""
    while at + 7 <= len(data):
        left = BLOCK - at % BLOCK
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        at += 7
        if (kind == 0 and length == 0) or at + length > len(data):
            return
        chunk, at = data[at : at + length], at + length
        partial = chunk if kind in (FULL, FIRST) else partial + chunk
        if kind in (FULL, LAST):
            yield partial
