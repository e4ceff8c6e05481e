"""The catalog of published data sets: contents, sources, sizes, checksums and terms. A value is None if nobody publishes it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from stylegan_lab.data.download.extraction import ExtractionLimits, extract_archive
from stylegan_lab.data.download.formats import arrange_cifar10, arrange_flowers, arrange_mnist
from stylegan_lab.files.download import ExpectedChecksum

ROOT_VARIABLE = "STYLEGAN_LAB_DATA"
Arrange = Callable[[list[Path], Path, ExtractionLimits], Path]
ENTRIES_PER_IMAGE = 4  # of an archive: folders, images of splits that are not counted, and what macOS adds to each file
ENTRIES_OF_UNKNOWN = 150_000


@dataclass(frozen=True)
class RemoteFile:
    """A file to download. Its URLs are tried in order until one works."""

    urls: tuple[str, ...]
    expected: ExpectedChecksum = ExpectedChecksum()  # noqa: RUF009 a tuple
    approximate_bytes: int | None = None  # bytes, if only a rounded size is published

    @property
    def name(self) -> str:
        return PurePosixPath(urlsplit(self.urls[0]).path).name


@dataclass(frozen=True)
class PaperDataset:
    name: str
    contents: str
    images: str | None
    num_images: int | None
    terms: str
    source: str
    layout: str
    files: tuple[RemoteFile, ...] = ()
    config: bool = True  # whether data=NAME reads it
    needs_acceptance: bool = False
    manual_steps: str | None = None  # how to obtain a data set that may not be redistributed
    arrange: Arrange = extract_archive  # brings the downloaded files into the layout, in a folder

    @property
    def size(self) -> int | None:
        """The number of bytes to download, or None if unknown."""
        sizes = [file.expected.size or file.approximate_bytes for file in self.files]
        return sum(size or 0 for size in sizes) if all(sizes) and sizes else None

    @property
    def limits(self) -> ExtractionLimits:
        """The limits for extracting the archive. The limit on entries depends on the number of images, if it is known."""
        entries = 1000 + ENTRIES_PER_IMAGE * self.num_images if self.num_images else ENTRIES_OF_UNKNOWN
        return ExtractionLimits(entries=entries)

    @property
    def has_exact_size(self) -> bool:
        return all(file.expected.size for file in self.files)


def default_root() -> Path:
    """Return the folder that contains all data sets. The configs in conf/data use the same folder."""
    return Path(os.environ.get(ROOT_VARIABLE) or "datasets")


def download_hint(folder: Path) -> str:
    """Return a hint for the error about a missing folder: the command that downloads it, if it is, or is inside, the folder of a
    known data set."""
    for path in (folder, *folder.parents):
        if not path.exists() and path.name in DATASETS:
            action = "downloads it" if DATASETS[path.name].files else "explains how to obtain it"
            return f"; stylegan-lab data download {path.name} {action}"
    return ""


NONE_STATED = "none stated by the publishers"
PIX2PIX = "https://github.com/phillipi/pix2pix"
CYCLEGAN = "https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix"
STARGAN = "https://github.com/clovaai/stargan-v2"
CC_BY_NC = (
    "CC BY-NC 4.0, NAVER Corporation: credit by citing StarGAN v2, say if the images were changed, no commercial use"
)

CELEBA = (
    "CelebA's: non-commercial research only, no further copying, publishing or distributing; images from the internet"
)
PAIRS = "train, val, test: A and B side by side"
DOMAINS = "trainA, trainB, testA, testB"


def _pairs(
    name: str,
    contents: str,
    images: str,
    num_images: int,
    approximate_bytes: int,
    terms: str = NONE_STATED,
    layout: str = PAIRS,
) -> PaperDataset:
    """A data set of the pix2pix authors, who publish rounded sizes and no checksums."""
    url = f"https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{name}.tar.gz"
    file = RemoteFile((url,), approximate_bytes=approximate_bytes)
    return PaperDataset(name, contents, images, num_images, terms, PIX2PIX, layout, (file,))


def _domains(
    name: str,
    contents: str,
    images: str,
    num_images: int,
    size: int,
    sha256: str,
    terms: str = NONE_STATED,
    archive: str = "",
) -> PaperDataset:
    """A data set of the CycleGAN authors, with sizes and checksums from TensorFlow Datasets."""
    mirrors = (
        "https://efrosgans.eecs.berkeley.edu/cyclegan",
        "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN",
    )
    urls = tuple(f"{mirror}/datasets/{archive or name}.zip" for mirror in mirrors)
    file = RemoteFile(urls, ExpectedChecksum(sha256, size=size))
    return PaperDataset(name, contents, images, num_images, terms, CYCLEGAN, DOMAINS, (file,))


def _stargan(
    name: str, contents: str, images: str | None, num_images: int | None, url: str, terms: str, layout: str
) -> PaperDataset:
    """A data set of the StarGAN v2 authors."""
    files = (RemoteFile((url,)),)
    return PaperDataset(name, contents, images, num_images, terms, STARGAN, layout, files, needs_acceptance=True)


def _mnist(name: str, size: int, sha256: str, md5: str) -> RemoteFile:
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    return RemoteFile(tuple(f"{mirror}{name}-ubyte.gz" for mirror in mirrors), ExpectedChecksum(sha256, md5, size))


def _flowers(name: str, size: int, sha256: str, md5: str) -> RemoteFile:
    url = f"https://www.robots.ox.ac.uk/~vgg/data/flowers/102/{name}"
    return RemoteFile((url,), ExpectedChecksum(sha256, md5, size))


FACADES = "of the CMP Facade Database, see http://cmp.felk.cvut.cz/~tylecr1/facade"
FLICKR = f"{NONE_STATED}; the photos are from Flickr"
WIKIART = f"{NONE_STATED}; the paintings are from WikiArt, the photos from Flickr"
IMAGENET = f"{NONE_STATED}; the images are from ImageNet, whose own terms apply"
GOOGLE = f"{NONE_STATED}; the images are from Google Maps"

_ALL = [
    _pairs("facades", "facades and their labels, of the CMP Facade Database", "400 pairs to train", 400, 30_000_000, FACADES),
    PaperDataset("cityscapes", "street scenes and their labels", "2,975 pairs to train", 2975,
                 "of Cityscapes: registration", PIX2PIX, PAIRS,
                 manual_steps="its licence forbids redistribution: register at https://www.cityscapes-dataset.com, download "
                 "gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip, and place each photo next to its labels, "
                 "256x256 each, into train and val, as prepare_cityscapes_dataset.py of "
                 "https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix does"),
    _pairs("night2day", "scenes by night and by day, of the Transient Attributes data set",
           "17,823 pairs to train, 10 to validate, 2,287 to test", 20_120, 2_000_000_000),
    _pairs("edges2handbags", "handbags and their edges", "137,000 pairs to train", 137_000, 8_600_000_000, layout="train, val"),
    _pairs("edges2shoes", "shoes of UT Zappos50K and their edges", "50,000 pairs to train", 50_000, 2_100_000_000,
           layout="train, val"),
    _pairs("maps", "aerial photos and maps", "1,096 pairs to train", 1096, 251_000_000, GOOGLE, "train, val"),
    _domains("apple2orange", "apples and oranges", "995 + 1,019 to train, 266 + 248 to test", 2528, 78_456_409,
             "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8", IMAGENET),
    _domains("summer2winter_yosemite", "photos of Yosemite in summer and in winter", "1,231 + 962 to train, 309 + 238 to test",
             2740, 132_640_856, "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9", FLICKR),
    _domains("horse2zebra", "horses and zebras", "1,067 + 1,334 to train, 120 + 140 to test", 2661, 116_867_962,
             "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1", IMAGENET),
    _domains("monet2photo", "paintings by Monet and photos", "1,072 + 6,287 to train, 121 + 751 to test", 8231, 305_231_073,
             "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04", WIKIART),
    _domains("cezanne2photo", "paintings by Cézanne and photos", "525 + 6,287 to train, 58 + 751 to test", 7621, 279_885_071,
             "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff", WIKIART),
    _domains("ukiyoe2photo", "ukiyo-e and photos", "562 + 6,287 to train, 263 + 751 to test", 7863, 292_946_532,
             "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08", WIKIART),
    _domains("vangogh2photo", "paintings by van Gogh and photos", "400 + 6,287 to train, 400 + 751 to test", 7838,
             306_590_349, "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff", WIKIART),
    _domains("maps_unpaired", "aerial photos and maps, as two domains", "1,096 + 1,096 to train, 1,098 + 1,098 to test", 4388,
             1_476_754_427, "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e", GOOGLE, archive="maps"),
    _domains("facades_unpaired", "facades and their labels, as two domains", "400 + 400 to train, 106 + 106 to test", 1012,
             35_135_868, "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0", FACADES, archive="facades"),
    _domains("iphone2dslr_flower", "photos of flowers by phone and by camera", "1,812 + 3,325 to train, 569 + 480 to test", 6186,
             339_964_458, "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113", FLICKR),
    PaperDataset("ae_photos", "photos to translate with a run of monet2photo; no training set", None, None, NONE_STATED, CYCLEGAN,
                 "testA, testB",
                 (RemoteFile(("https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/ae_photos.zip",),
                             approximate_bytes=10_000_000),), config=False),
    _stargan("afhq", "faces of cats, dogs and wild animals, 512 px", "16,130, of which 1,500 to test", 16_130,
             "https://www.dropbox.com/s/t9l9o3vsx2jai3z/afhq.zip?dl=1", CC_BY_NC, "train, val: cat, dog, wild"),
    _stargan("afhq_v2", "the images of afhq, resized with Lanczos filtering and saved as PNG", "15,803", 15_803,
             "https://www.dropbox.com/s/vkzjokiwof5h8w6/afhq_v2.zip?dl=1", CC_BY_NC, "train, test: cat, dog, wild"),
    _stargan("celeba_hq", "faces of women and men", None, None, "https://www.dropbox.com/s/f7pvjij2xlpff59/celeba_hq.zip?dl=1",
             CELEBA, "train, val: female, male"),
    PaperDataset(
        "mnist", "handwritten digits, 28 px, gray", "60,000 to train, 10,000 to test", 70_000, "CC BY-SA 3.0, LeCun and Cortes",
        "http://yann.lecun.com/exdb/mnist", "train, test: 0 to 9",
        (
            _mnist("train-images-idx3", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                   "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            _mnist("train-labels-idx1", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                   "d53e105ee54ea40749a09fcbcd1e9432"),
            _mnist("t10k-images-idx3", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                   "9fb629c4189551a2d022fa330f9573f3"),
            _mnist("t10k-labels-idx1", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                   "ec29112dd5afa0611ce80d1b7f02629c"),
        ),
        arrange=arrange_mnist,
    ),
    PaperDataset(
        "cifar10", "small images of ten classes, 32 px", "50,000 to train, 10,000 to test", 60_000,
        "none stated; its authors ask to cite their report", "https://www.cs.toronto.edu/~kriz/cifar.html",
        "train, test: airplane to truck",
        (RemoteFile(("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                    ExpectedChecksum("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                                     "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171)),),
        arrange=arrange_cifar10,
    ),
    PaperDataset(
        "flowers102", "photos of flowers of 102 kinds", "1,020 to train, 1,020 to validate, 6,149 to test", 8189, NONE_STATED,
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102", "train, val, test: 001 to 102",
        (
            _flowers("102flowers.tgz", 344_862_509, "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
                     "52808999861908f626f3c1f4e79d11fa"),
            _flowers("imagelabels.mat", 502, "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
                     "e0620be6f572b9609742df49c70aed4d"),
            _flowers("setid.mat", 14_989, "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
                     "a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
        arrange=arrange_flowers,
    ),
]  # fmt: skip

DATASETS = {each.name: each for each in _ALL}
