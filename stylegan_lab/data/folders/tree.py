"""Pictures where a layout has them: in which domain, in which split, whether that is said by folders, by lists or by chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stylegan_lab.data.folders.layout import Layout, Part, place_of, recognise
from stylegan_lab.data.folders.listing import pictures_below, same_name, shown
from stylegan_lab.data.folders.reading import size_of
from stylegan_lab.data.folders.splitting import SPLITS, by_lists, by_share
from stylegan_lab.images.opening import SUFFIXES
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.mistake import Mistake, at_least

ENOUGH = 24  # pictures whose headers say what all are like


class Tree:
    """The pictures below a root, or below folders that stand for its subfolders: `files` says where each really is."""

    def __init__(self, root: Path | None, folders: Mapping[str, Path] | None = None) -> None:
        tops = {Path(name): folder for name, folder in folders.items()} if folders else {Path(): _needed(root)}
        self.tops = tops
        self.files: dict[Path, Path] = {}
        for top, folder in tops.items():
            found = [folder] if folder.is_file() else pictures_below(folder)
            if not found:
                raise Mistake(f"{shown(folder)} holds no pictures ({', '.join(sorted(SUFFIXES))})")
            self.files |= {top / (path.name if path == folder else path.relative_to(folder)): path for path in found}
        self.asked = 0
        self.layout: Layout = recognise(list(self.files), self._size_of)

    @property
    def base(self) -> Path:
        """What all lie below."""
        folders = [top.absolute() for top in self.tops.values()]
        folders = [folder.parent if folder.is_file() else folder for folder in folders]
        shared = (folder for folder in (folders[0], *folders[0].parents) if all(map(partial(_below, folder), folders)))
        return next(shared, folders[0])

    @property
    def name(self) -> str:
        return " and ".join(shown(folder) for folder in self.tops.values())

    @property
    def domains(self) -> list[str]:
        return [domain for domain in self.layout.domains if domain]

    def wrong(self, data: str, wanted: str) -> Mistake:
        """Of a root that is laid out otherwise."""
        says, *_ = self.layout.evidence
        meant = f" (try data={self.layout.data})" if self.layout.data != data else ""
        return Mistake(f"data={data} needs {wanted}. In {self.name}: {says}{meant}")

    def side_by_side(self) -> bool:
        """Whether pictures may be pairs, by their headers."""
        sizes = [size for path in list(self.files)[:ENOUGH] if (size := self._header(path)) is not None]
        return not sizes or any(width > height for width, height in sizes)

    def _size_of(self, path: Path) -> tuple[int, int] | None:
        self.asked += 1
        return self._header(path) if self.asked <= ENOUGH else None

    def _header(self, path: Path) -> tuple[int, int] | None:
        try:
            return size_of(self.files[path])
        except (Unreadable, OSError):
            return None


@dataclass(frozen=True)
class Splitting:
    """What of a domain is held out where no folders say it: by lists, else by share."""

    shares: Mapping[str, float]
    seed: int
    lists: Mapping[str, Path]

    def __post_init__(self) -> None:
        for split, share in self.shares.items():
            at_least(f"data.{split}_share", share, 0)
        if sum(self.shares.values()) >= 1:
            raise Mistake(
                "data.val_share and data.test_share leave nothing for training; together they must be below 1"
            )

    def of(self, parts: Sequence[Part], name: str, files: Mapping[Path, Path]) -> tuple[dict[str, list[Path]], str]:
        """The parts of one domain as splits, none of them empty, and how that came about."""
        all_ = [path for part in parts for path in part.files]
        by_folder = {part.split: list(part.files) for part in parts if part.split}
        if self.lists:
            names = {path: {path.as_posix(), place_of(path).rest.as_posix(), str(real)} for path, real in files.items()}
            mine = {path: names[path] for path in all_}
            others = {same_name(each) for its_names in names.values() for each in its_names}
            return _filled(by_lists(mine, self.lists, others), name, "by list")
        if set(by_folder) - {"train"}:
            return _filled({split: by_folder.get(split, []) for split in SPLITS}, name, "by folder")
        if not any(self.shares.values()):
            return _filled({"train": all_}, name, "nothing held out")
        return _filled(by_share(all_, self.shares, self.seed, name), name, "by share")


def domains_in(root: str | None) -> list[str]:
    """The names of the folders that are domains; none where there is no such root."""
    try:
        return [] if root is None else Tree(Path(root).expanduser()).domains
    except Mistake:
        return []


def _filled(splits: Mapping[str, list[Path]], name: str, how: str) -> tuple[dict[str, list[Path]], str]:
    if not splits.get("train"):
        raise Mistake(f"{name} has no pictures for training: {how}, all are held out")
    val, test = splits.get("val") or [], splits.get("test") or []
    held_out = {"val": val or test, "test": test or val}
    if not val and not test:
        how += "; val and test show training pictures"
    elif not val or not test:
        how += f"; {'val' if test else 'test'} is {'test' if test else 'val'}"
    return {"train": splits["train"]} | {split: paths or splits["train"] for split, paths in held_out.items()}, how


def _below(folder: Path, other: Path) -> bool:
    return other.is_relative_to(folder)


def _needed(root: Path | None) -> Path:
    if root is None:
        raise Mistake("data.root=FOLDER is needed: where your pictures are")
    return root
