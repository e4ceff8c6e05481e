"""The images below a folder, and the detected layout of the folder."""

from collections.abc import Mapping
from pathlib import Path

from stylegan_lab.data.folders.layout import NUM_PROBED, Layout, detect_layout
from stylegan_lab.data.folders.listing import images_below
from stylegan_lab.data.folders.reading import image_size
from stylegan_lab.errors import UserError
from stylegan_lab.images.open_image import SUFFIXES, UnreadableImageError, display_name


class FolderTree:
    """The images below a root, or below one folder per domain, and their layout.

    `files` maps the paths in the layout to the actual paths.
    """

    def __init__(self, root: Path | None, folders: Mapping[str, Path] | None = None) -> None:
        if not folders:
            if root is None:
                raise UserError("data.root_not_set", "set data.root=FOLDER to the folder of your images")
            folders = {"": root}
        self.tops = {Path(name): folder for name, folder in folders.items()}
        self.files: dict[Path, Path] = {}
        for top, folder in self.tops.items():
            found = [folder] if folder.is_file() else images_below(folder)
            if not found:
                raise UserError(
                    "data.no_images", f"{display_name(folder)} contains no images ({', '.join(sorted(SUFFIXES))})"
                )
            self.files |= {top / (path.name if path == folder else path.relative_to(folder)): path for path in found}
        self.num_read = 0
        self.layout: Layout = detect_layout(list(self.files), self._probe_size)

    @property
    def base(self) -> Path:
        """The deepest folder that contains all images."""
        tops = [top.absolute() for top in self.tops.values()]
        folders = [top.parent if top.is_file() else top for top in tops]
        shared = (
            folder
            for folder in (folders[0], *folders[0].parents)
            if all(other.is_relative_to(folder) for other in folders)
        )
        return next(shared, folders[0])

    @property
    def name(self) -> str:
        return " and ".join(display_name(folder) for folder in self.tops.values())

    @property
    def domains(self) -> list[str]:
        return [domain for domain in self.layout.domains if domain]

    def layout_error(self, data: str, wanted: str) -> UserError:
        """Return the error for a root whose layout does not fit the config `data`."""
        summary, *_ = self.layout.evidence
        hint = f" (try data={self.layout.data})" if self.layout.data != data else ""
        return UserError("data.layout_mismatch", f"data={data} needs {wanted}. In {self.name}: {summary}{hint}")

    def side_by_side(self) -> bool:
        """Return whether the images may show pairs side by side, judged by their sizes."""
        sizes = [size for path in list(self.files)[:NUM_PROBED] if (size := self._header(path)) is not None]
        return not sizes or any(width > height for width, height in sizes)

    def _probe_size(self, path: Path) -> tuple[int, int] | None:
        self.num_read += 1
        return self._header(path) if self.num_read <= NUM_PROBED else None

    def _header(self, path: Path) -> tuple[int, int] | None:
        try:
            return image_size(self.files[path])
        except (UnreadableImageError, OSError):
            return None


def domains_in(root: str | None) -> list[str]:
    """Return the names of the domain folders below a root, or an empty list if the root is missing."""
    try:
        return [] if root is None else FolderTree(Path(root).expanduser()).domains
    except UserError:
        return []
