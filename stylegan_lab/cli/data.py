"""`stylegan-lab data VERB`: check, preview, prepare, list or download data. Heavy imports stay inside the functions."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylegan_lab.cli.arguments import CommandParser, flags_and_overrides
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.suggestions import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from stylegan_lab.data.datamodule import ImageDataModule
    from stylegan_lab.data.download.catalog import PaperDataset
    from stylegan_lab.data.folders.check import DataReport

UNPAIRED = ("cyclegan", "cut", "fastcut", "unsb", "adain", "perceptual")
GENERATION = ("stylegan2", "dcgan", "wgan_gp", "sngan", "r3gan", "progan", "wgan", "gan")
MODELS_BY_DATA = {  # the models that fit each data config; the first is suggested
    "unpaired": UNPAIRED,
    "paired": ("pix2pix", *UNPAIRED),
    "domains": ("stargan2", "multidomain"),
    "style": ("johnson", *UNPAIRED),
    "vintage": ("pix2pix", *UNPAIRED),
    "superres": (),  # needs generator=srresnet too, so it is left to experiments
    "single_pair": ("pix2pix", *UNPAIRED),
    "flat": GENERATION,
    "labelled": ("cgan", *GENERATION),
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    name, *rest = arguments
    if name not in VERBS:
        raise UserError(
            "cli.unknown_command",
            f"{name} is not a data command{did_you_mean(name, VERBS)}; data commands: {', '.join(VERBS)}",
        )
    run, _ = VERBS[name]
    return run(rest)


def usage() -> str:
    verbs = "\n".join(f"  {name:10} {description}" for name, (_, description) in VERBS.items())
    hint = "`stylegan-lab data VERB --help` shows the options of a verb."
    return f"usage: stylegan-lab data VERB ...\n\n{verbs}\n\n{hint}"


def check(arguments: list[str]) -> int:
    """Check image folders. Returns the exit code, which is 1 if the check finds problems."""
    parser = CommandParser(
        prog="stylegan-lab data check",
        description="Read every image below a folder once, and report the layout, problems, and which models fit. Settings as for "
        "`train` (data.root=DIR, or data.a=DIR data.b=DIR) name the folders too.",
        epilog="example: stylegan-lab data check photos/    (exit code: 0 no problems, 1 problems, 2 usage error)",
    )
    help_folders = "a folder of images, or of folders of images; or settings as for `train`"
    parser.add_argument("folders", metavar="DIR or KEY=VALUE", nargs="+", help=help_folders)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args(arguments)
    from stylegan_lab.data.folders.check import check_folder, data_report_as_json, data_report_as_text

    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for file names that the terminal cannot encode
    reports = [check_folder(folder) for folder in checked_folders(options.folders)]
    models = [models_by_data(report) for report in reports]
    if options.json:
        found = [data_report_as_json(*each) for each in zip(reports, models, strict=True)]
        print(json.dumps(found[0] if len(found) == 1 else found, indent=2))
    else:
        print("\n\n".join(data_report_as_text(*each) for each in zip(reports, models, strict=True)))
    return 0 if all(report.has_no_problems for report in reports) else 1


def checked_folders(arguments: Sequence[str]) -> list[Path]:
    """Return the folders to check. The arguments are either these folders, or settings such as data.root that name them."""
    if not any("=" in each and not Path(each).exists() for each in arguments):
        return [Path(each) for each in arguments]
    from stylegan_lab.config.compose import compose_config

    with as_user_errors(arguments):
        data = compose_config(arguments).data
        folders = [Path(data[key]) for key in ("root", "a", "b") if data.get(key)]
    if not folders:
        raise UserError(
            "data.root_not_set", "these settings name no folder; set data.root=DIR, or data.a=DIR and data.b=DIR"
        )
    return folders


def models_by_data(report: "DataReport") -> dict[str, tuple[str, ...]]:
    names = (report.layout.data, *report.layout.also)
    if any(issue.kind == "few_images" for issue in report.issues):
        names = (*report.layout.also, report.layout.data)  # data that makes pairs of the images comes first
    return {data: MODELS_BY_DATA[data] for data in names if MODELS_BY_DATA[data]}


def preview(arguments: list[str]) -> int:
    parser = CommandParser(
        prog="stylegan-lab data preview",
        description="Draw the first training samples after augmentation: a column for each sample, a row for each of its images.",
        epilog="example: stylegan-lab data preview data=unpaired data.root=photos data.size=128 augment=strong",
    )
    out = "output file (default: preview.png)"
    parser.add_argument("--out", metavar="IMAGE", type=Path, default=Path("preview.png"), help=out)
    parser.add_argument("--count", type=int, default=8, help="number of samples (default: 8)")
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, as for `train`")
    options = parser.parse_intermixed_args(arguments)
    check_at_least("--count", options.count, 1, "cli.too_small")
    from stylegan_lab.data.sampler import shuffled
    from stylegan_lab.images.grid import grid
    from stylegan_lab.images.image_io import write_image

    data = compose_data(options.overrides)
    samples: Any = data.train_samples()
    order = shuffled(len(samples), data.seed, 0)[: options.count]  # that of training
    batch = data.collate(samples, [(0, index) for index in order])
    rows = {name: values for name, values in batch.items() if getattr(values, "ndim", 0) == 4}
    path = write_image(grid(list(rows.values())), options.out)
    print(f"data       {data.num_samples:,} samples per epoch", *data.plan_notes, sep="\n" + " " * 11)
    print(f"image      {path}  (rows: {', '.join(_shape_text(name, row) for name, row in rows.items())})")
    return 0


def prepare(arguments: list[str]) -> int:
    parser = CommandParser(
        prog="stylegan-lab data prepare",
        description="Decode all images into the cache, so that a training with the same settings starts at once.",
        epilog="example: stylegan-lab data prepare data=unpaired data.root=photos data.size=256 data.load_size=286",
    )
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, as for `train`")
    data = compose_data(parser.parse_args(arguments).overrides)
    from stylegan_lab.console import format_amount
    from stylegan_lab.data.folders.folder_datamodule import FolderDataModule

    if not isinstance(data, FolderDataModule):
        reason = (
            "reads no image files, so there is nothing to prepare; choose a config that does, such as data=unpaired"
        )
        raise UserError("data.nothing_to_prepare", f"{type(data).__name__} {reason}")
    folder = data.prepare()
    for note in data.plan_notes:
        print(f"           {note}")
    print(f"cache      {folder}  ({format_amount(sum(file.stat().st_size for file in folder.glob('*.pixels')))})")
    return 0


def list_(arguments: list[str]) -> int:
    parser = CommandParser(
        prog="stylegan-lab data list",
        description="List the published data sets: size, license, source. * marks those that are downloaded.",
        epilog="example: stylegan-lab data list horse2zebra",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="show all details of this data set")
    parser.add_argument("--root", type=Path, help="the folder of data sets (default: $STYLEGAN_LAB_DATA, or datasets)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    from stylegan_lab.data.download.catalog import DATASETS, default_root

    datasets = [find_dataset(options.name)] if options.name else list(DATASETS.values())
    root = options.root or default_root()
    if options.json:
        print(json.dumps([dataset_as_json(dataset, root) for dataset in datasets], indent=2))
    elif options.name:
        print(dataset_text(datasets[0], root))
    else:
        print(dataset_table(datasets, root))
        print("\n`stylegan-lab data list NAME` shows details, `stylegan-lab data download NAME` downloads a data set")
    return 0


def download(arguments: list[str]) -> int:
    parser = CommandParser(
        prog="stylegan-lab data download",
        description="Download a published data set, verify it, and extract it to the folder that data=NAME reads.",
        epilog="example: stylegan-lab data download facades",
    )
    parser.add_argument("name", metavar="NAME", help="a name from `stylegan-lab data list`")
    parser.add_argument("--root", type=Path, help="the folder of data sets (default: $STYLEGAN_LAB_DATA, or datasets)")
    parser.add_argument("--accept-terms", action="store_true", help="accept the terms of the data set")
    parser.add_argument("--keep-archive", action="store_true", help="keep the downloaded files")
    options = parser.parse_args(arguments)
    from stylegan_lab.data.download.catalog import default_root
    from stylegan_lab.data.download.dataset import download_dataset

    dataset = find_dataset(options.name)
    root = options.root or default_root()
    exists = (root / dataset.name).is_dir()
    if dataset.needs_acceptance and not exists and not options.accept_terms:
        hint = "to accept them, repeat the command with --accept-terms"
        raise UserError(
            "download.terms_not_accepted",
            f"{dataset.name} has terms of use ({dataset.terms}; see {dataset.source}); {hint}",
        )
    folder = download_dataset(dataset, root, options.keep_archive)
    print(f"{'data':9} {folder}{' already exists' if exists else ''}")
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        print(f"{'':9} {path.name}: {sum(file.is_file() for file in path.rglob('*')):,} files")
    print(f"{'terms':9} {dataset.terms}")
    if not exists:
        for file in dataset.files:
            print(f"{'SHA-256':9} {checksum_text(file.urls[0], file.expected.sha256)}")
    if dataset.config:
        setting = f" data.root={folder}" if folder != default_root() / dataset.name else ""
        print(f"{'next':9} stylegan-lab train data={dataset.name}{setting}")
    return 0


VERBS = {  # function and description
    "check": (check, "read all images of a folder once, and report problems"),
    "preview": (preview, "draw training samples as a model receives them"),
    "prepare": (prepare, "decode all images into the cache before training"),
    "list": (list_, "list the published data sets with sizes, terms and sources"),
    "download": (download, "download a published data set"),
}


def compose_data(arguments: Sequence[str]) -> "ImageDataModule":
    """Return the data module that these arguments of `train` describe, without building the rest of the experiment."""
    from stylegan_lab.config.compose import compose_config
    from stylegan_lab.training.warning_filters import silence_warnings

    silence_warnings()
    from stylegan_lab.training.experiment import build_data

    flags, overrides = flags_and_overrides(arguments)
    if flags:
        raise UserError("cli.unknown_flag", f"{flags[0]} is a flag of `train` only; write settings as KEY=VALUE")
    with as_user_errors(overrides):
        return build_data(compose_config(overrides))


@contextmanager
def as_user_errors(overrides: Sequence[str]) -> Iterator[None]:
    """Turn the errors of Hydra and OmegaConf into messages about these overrides."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from stylegan_lab.config.hydra_errors import to_user_error

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise to_user_error(error, overrides) from error


def find_dataset(name: str) -> "PaperDataset":
    from stylegan_lab.data.download.catalog import DATASETS

    if name not in DATASETS:
        hint = "`stylegan-lab data list` lists all data sets"
        raise UserError(
            "download.unknown_dataset", f"{name} is not a data set of the catalog{did_you_mean(name, DATASETS)}; {hint}"
        )
    return DATASETS[name]


def dataset_table(datasets: "Sequence[PaperDataset]", root: Path) -> str:
    """Return a table with one line per data set. A * marks data sets that are already downloaded."""
    width = max(len(dataset.name) for dataset in datasets)
    lines = []
    for dataset in datasets:
        mark = "*" if (root / dataset.name).is_dir() else " "
        contents = "; ".join(filter(None, (dataset.contents, dataset.images)))
        lines.append(f"{mark}{dataset.name:{width}}  {size_text(dataset):>12}  {contents}")
    return "\n".join(lines)


def dataset_text(dataset: "PaperDataset", root: Path) -> str:
    """Return a text with all details of a data set."""
    fields = {
        "contents": dataset.contents,
        "images": dataset.images or "not published",
        "size": size_text(dataset),
        "terms": dataset.terms + ("; accept them with --accept-terms" if dataset.needs_acceptance else ""),
        "source": dataset.source,
        "layout": f"{root / dataset.name}: {dataset.layout}",
        "read by": f"data={dataset.name}" if dataset.config else "translate, after training on monet2photo",
    }
    if dataset.manual_steps:
        fields["manual"] = dataset.manual_steps
    lines = [f"{name:9} {value}" for name, value in fields.items()]
    for file in dataset.files:
        lines += [f"{'file':9} {file.urls[0]}", f"{'SHA-256':9} {checksum_text(file.urls[0], file.expected.sha256)}"]
    return "\n".join(lines)


def dataset_as_json(dataset: "PaperDataset", root: Path) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "contents": dataset.contents,
        "images": dataset.images,
        "bytes": dataset.size,
        "exact": dataset.has_exact_size,
        "terms": dataset.terms,
        "source": dataset.source,
        "layout": dataset.layout,
        "data": dataset.name if dataset.config else None,
        "manual_steps": dataset.manual_steps,
        "downloaded": (root / dataset.name).is_dir(),
        "files": [{"urls": list(file.urls), **file.expected._asdict()} for file in dataset.files],
    }


def size_text(dataset: "PaperDataset") -> str:
    from stylegan_lab.console import format_amount

    if dataset.size is None:
        return "unknown" if dataset.files else "manual"
    return f"{'' if dataset.has_exact_size else 'about '}{format_amount(dataset.size)}"


def checksum_text(url: str, published: str | None) -> str:
    from stylegan_lab.data.download.dataset import recorded_hashes

    if published:
        return f"{published} (published)"
    if recorded := recorded_hashes().get(url):
        return f"{recorded} (recorded at the first download)"
    return "not published: recorded at the first download, and verified from then on"


def _shape_text(name: str, row: "Tensor") -> str:
    _, channels, height, width = row.shape
    return f"{name} {width}x{height}, {channels} channel{'s' * (channels > 1)}"
