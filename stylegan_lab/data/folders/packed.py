"""Sets as their makers pack them, MNIST's idx files or CIFAR-10's binary batches: written as folders of classes once, and read
as those ever after."""

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from stylegan_lab.alone import alone
from stylegan_lab.data.sets import cifar10, mnist
from stylegan_lab.fetch import cache_folder
from stylegan_lab.mistake import Mistake

IDX = re.compile(r"(train|t10k|test)-(images|labels)[.-]idx[13]-ubyte(\.gz)?")
BATCH = re.compile(r"(data|test)_batch(_\d+)?\.bin")
Write = Callable[[Path], None]  # into a folder


def laid_out(root: Path) -> Path:
    """The root, or what was in its packed files. Where those are of one split alone, there are no folders for splits."""
    files = _packed(root)
    if not files:
        return root
    splits = _digits(files, root) if IDX.fullmatch(files[0].name) else _batches(files)
    target = cache_folder() / "classes" / _known_by(files)
    target.parent.mkdir(parents=True, exist_ok=True)
    with alone(target):
        if not target.exists():
            _write(splits, target)
    return target


def _packed(root: Path) -> list[Path]:
    """Those in the root, or in a folder of it such as cifar-10-batches-bin."""
    if not root.is_dir():
        return []
    files = sorted([*root.glob("*-ubyte*"), *root.glob("*.bin"), *root.glob("*/*.bin")])
    return [path for path in files if IDX.fullmatch(path.name) or BATCH.fullmatch(path.name)]


def _digits(files: list[Path], root: Path) -> Mapping[str, Write]:
    named = {match.group(1, 2): path for path in files if (match := IDX.fullmatch(path.name))}
    splits: dict[str, Write] = {}
    for split in sorted({split for split, _ in named}):
        if missing := [what for what in ("images", "labels") if (split, what) not in named]:
            raise Mistake(f"{root} has no {split}-{missing[0]}-idx{1 if missing == ['labels'] else 3}-ubyte.gz")
        pair = named[split, "images"], named[split, "labels"]
        splits["train" if split == "train" else "test"] = partial(mnist.write_digits, *pair)
    return splits


def _batches(files: list[Path]) -> Mapping[str, Write]:
    test = [path for path in files if path.name.startswith("test")]
    splits = {"train": [path for path in files if path not in test], "test": test}
    return {split: partial(cifar10.write_batches, paths) for split, paths in splits.items() if paths}


def _write(splits: Mapping[str, Write], target: Path) -> None:
    writing = target.with_name(f".{target.name}.writing")
    shutil.rmtree(writing, ignore_errors=True)  # of a process that was killed
    try:
        for split, write in splits.items():
            write(writing / split if len(splits) > 1 else writing)
        writing.replace(target)
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def _known_by(files: list[Path]) -> str:
    """A name that changes whenever one of the files does."""
    facts = [
        (str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino) for path in files for stat in (path.stat(),)
    ]
    return f"{files[0].absolute().parent.name}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"
