"""The papers' data sets: what each is, where it comes from, on what terms. What nobody publishes is None."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from stylegan_lab.data.sets import cifar10, flowers, mnist
from stylegan_lab.data.sets.extraction import unpacked
from stylegan_lab.fetch import Expected

ROOT = "STYLEGAN_LAB_DATA"
Arrange = Callable[[list[Path], Path], Path]


@dataclass(frozen=True)
class File:
    """To be fetched, from the first of its addresses that gives it."""

    urls: tuple[str, ...]
    expected: Expected = Expected()  # noqa: RUF009 a tuple
    about: int | None = None  # bytes, where only a rounded figure is published

    @property
    def name(self) -> str:
        return PurePosixPath(urlsplit(self.urls[0]).path).name


@dataclass(frozen=True)
class PaperSet:
    name: str
    what: str
    pictures: str | None
    terms: str
    source: str
    layout: str
    files: tuple[File, ...] = ()
    config: bool = True  # whether data=NAME reads it
    to_be_accepted: bool = False
    instead: str | None = None  # how to get what nobody may give out
    arrange: Arrange = unpacked  # what was fetched, into the layout, in a folder

    @property
    def size(self) -> int | None:
        """Bytes to fetch."""
        sizes = [file.expected.size or file.about for file in self.files]
        return sum(size or 0 for size in sizes) if all(sizes) and sizes else None

    @property
    def exact(self) -> bool:
        return all(file.expected.size for file in self.files)


def default_root() -> Path:
    """As conf/data has it."""
    return Path(os.environ.get(ROOT) or "datasets")


def how_to_get(folder: Path) -> str:
    """The end of a sentence about a folder that is not there, if it is a set, or within one, that could be downloaded."""
    for path in (folder, *folder.parents):
        if not path.exists() and path.name in SETS:
            does = "fetches it" if SETS[path.name].files else "says how to get it"
            return f"; stylegan-lab data download {path.name} {does}"
    return ""


NONE_STATED = "none stated by those who give it out"
PIX2PIX = "https://github.com/phillipi/pix2pix"
CYCLEGAN = "https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix"
STARGAN = "https://github.com/clovaai/stargan-v2"
CC_BY_NC = "CC BY-NC 4.0, NAVER Corporation: credit by citing StarGAN v2, say what was changed, nothing commercial"
CELEBA = (
    "CelebA's: non-commercial research only, no further copying, publishing or distributing; pictures from the internet"
)
PAIRS = "train, val, test: A and B side by side"
DOMAINS = "trainA, trainB, testA, testB"


def _pairs(name: str, what: str, pictures: str, about: int, terms: str = NONE_STATED, layout: str = PAIRS) -> PaperSet:
    """As the pix2pix authors give them out, without sizes or hashes but for rounded ones."""
    url = f"https://efrosgans.eecs.berkeley.edu/pix2pix/datasets/{name}.tar.gz"
    return PaperSet(name, what, pictures, terms, PIX2PIX, layout, (File((url,), about=about),))


def _domains(
    name: str, what: str, pictures: str, size: int, sha256: str, terms: str = NONE_STATED, archive: str = ""
) -> PaperSet:
    """As the CycleGAN authors give them out, with the sizes and hashes that TensorFlow Datasets publishes."""
    archive = archive or name
    urls = (
        f"https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/{archive}.zip",
        f"https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/{archive}.zip",
    )
    return PaperSet(name, what, pictures, terms, CYCLEGAN, DOMAINS, (File(urls, Expected(sha256, size=size)),))


def _stargan(name: str, what: str, pictures: str | None, url: str, terms: str, layout: str) -> PaperSet:
    """As the StarGAN v2 authors give them out."""
    return PaperSet(name, what, pictures, terms, STARGAN, layout, (File((url,)),), to_be_accepted=True)


def _mnist(name: str, size: int, sha256: str, md5: str) -> File:
    places = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    return File(tuple(f"{place}{name}-ubyte.gz" for place in places), Expected(sha256, md5, size))


def _flowers(name: str, size: int, sha256: str, md5: str) -> File:
    return File((f"https://www.robots.ox.ac.uk/~vgg/data/flowers/102/{name}",), Expected(sha256, md5, size))


FLICKR = f"{NONE_STATED}; the photos are from Flickr"
WIKIART = f"{NONE_STATED}; the paintings are from WikiArt, the photos from Flickr"
IMAGENET = f"{NONE_STATED}; the pictures are from ImageNet, whose own terms hold"
GOOGLE = f"{NONE_STATED}; the pictures are from Google Maps"

_ALL = [
    _pairs(
        "facades", "facades and their labels, of the CMP Facade Database", "400 pairs to train", 30_000_000,
        "of the CMP Facade Database, see http://cmp.felk.cvut.cz/~tylecr1/facade",
    ),
    PaperSet(
        "cityscapes", "street scenes and their labels", "2,975 pairs to train", "of Cityscapes: registration", PIX2PIX, PAIRS,
        instead="for its licence nobody else may give it out: register at https://www.cityscapes-dataset.com, download "
        "gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip, and put each photo beside its labels, 256x256 each, into "
        "train and val, as prepare_cityscapes_dataset.py of https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix does",
    ),
    _pairs(
        "night2day", "places by night and by day, of the Transient Attributes data set",
        "17,823 pairs to train, 10 to validate, 2,287 to test", 2_000_000_000,
    ),
    _pairs("edges2handbags", "handbags and their edges", "137,000 pairs to train", 8_600_000_000, layout="train, val"),
    _pairs("edges2shoes", "shoes of UT Zappos50K and their edges", "50,000 pairs to train", 2_100_000_000, layout="train, val"),
    _pairs("maps", "aerial photos and maps", "1,096 pairs to train", 251_000_000, GOOGLE, "train, val"),
    _domains(
        "apple2orange", "apples and oranges", "995 + 1,019 to train, 266 + 248 to test", 78_456_409,
        "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8", IMAGENET,
    ),
    _domains(
        "summer2winter_yosemite", "Yosemite in summer and in winter", "1,231 + 962 to train, 309 + 238 to test", 132_640_856,
        "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9", FLICKR,
    ),
    _domains(
        "horse2zebra", "horses and zebras", "1,067 + 1,334 to train, 120 + 140 to test", 116_867_962,
        "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1", IMAGENET,
    ),
    _domains(
        "monet2photo", "paintings by Monet and photos", "1,072 + 6,287 to train, 121 + 751 to test", 305_231_073,
        "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04", WIKIART,
    ),
    _domains(
        "cezanne2photo", "paintings by Cézanne and photos", "525 + 6,287 to train, 58 + 751 to test", 279_885_071,
        "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff", WIKIART,
    ),
    _domains(
        "ukiyoe2photo", "ukiyo-e and photos", "562 + 6,287 to train, 263 + 751 to test", 292_946_532,
        "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08", WIKIART,
    ),
    _domains(
        "vangogh2photo", "paintings by van Gogh and photos", "400 + 6,287 to train, 400 + 751 to test", 306_590_349,
        "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff", WIKIART,
    ),
    _domains(
        "maps_unpaired", "aerial photos and maps, as two domains", "1,096 + 1,096 to train, 1,098 + 1,098 to test",
        1_476_754_427, "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e", GOOGLE, archive="maps",
    ),
    _domains(
        "facades_unpaired", "facades and their labels, as two domains", "400 + 400 to train, 106 + 106 to test", 35_135_868,
        "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
        "of the CMP Facade Database, see http://cmp.felk.cvut.cz/~tylecr1/facade", archive="facades",
    ),
    _domains(
        "iphone2dslr_flower", "flowers by phone and by camera", "1,812 + 3,325 to train, 569 + 480 to test", 339_964_458,
        "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113", FLICKR,
    ),
    PaperSet(
        "ae_photos", "photos to be painted by a trained monet2photo; nothing to train on", None, NONE_STATED, CYCLEGAN,
        "testA, testB",
        (File(("https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/ae_photos.zip",), about=10_000_000),),
        config=False,
    ),
    _stargan(
        "afhq", "faces of cats, dogs and wild animals, 512 px", "16,130, of which 1,500 to test",
        "https://www.dropbox.com/s/t9l9o3vsx2jai3z/afhq.zip?dl=1", CC_BY_NC, "train, val: cat, dog, wild",
    ),
    _stargan(
        "afhq_v2", "the same, resized by Lanczos and saved as PNG", "15,803",
        "https://www.dropbox.com/s/vkzjokiwof5h8w6/afhq_v2.zip?dl=1", CC_BY_NC, "train, test: cat, dog, wild",
    ),
    _stargan(
        "celeba_hq", "faces of women and men", None, "https://www.dropbox.com/s/f7pvjij2xlpff59/celeba_hq.zip?dl=1",
        CELEBA, "train, val: female, male",
    ),
    PaperSet(
        "mnist", "handwritten digits, 28 px, gray", "60,000 to train, 10,000 to test", "CC BY-SA 3.0, LeCun and Cortes",
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
        arrange=mnist.arrange,
    ),
    PaperSet(
        "cifar10", "small pictures of ten classes, 32 px", "50,000 to train, 10,000 to test",
        "none stated; its makers ask to cite their report", "https://www.cs.toronto.edu/~kriz/cifar.html",
        "train, test: airplane to truck",
        (
            File(("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                 Expected("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                          "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171)),
        ),
        arrange=cifar10.arrange,
    ),
    PaperSet(
        "flowers102", "flowers of 102 kinds", "1,020 to train, 1,020 to validate, 6,149 to test", NONE_STATED,
        "https://www.robots.ox.ac.uk/~vgg/data/flowers/102", "train, val, test: 001 to 102",
        (
            _flowers("102flowers.tgz", 344_862_509, "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246",
                     "52808999861908f626f3c1f4e79d11fa"),
            _flowers("imagelabels.mat", 502, "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d",
                     "e0620be6f572b9609742df49c70aed4d"),
            _flowers("setid.mat", 14_989, "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd",
                     "a5357ecc9cb78c4bef273ce3793fc85c"),
        ),
        arrange=flowers.arrange,
    ),
]  # fmt: skip
SETS = {each.name: each for each in _ALL}
