"""`stylegan-lab data check`: read every picture below a folder once, and say what was found and what can be done with it."""

import json
import sys
from io import TextIOWrapper
from pathlib import Path

from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.data.folders.checking import check
from stylegan_lab.data.folders.telling import document, text

UNPAIRED = ("cyclegan", "cut", "fastcut", "adain", "perceptual")
GENERATION = ("stylegan2", "dcgan", "wgan_gp", "sngan", "r3gan", "progan", "wgan", "gan")
FITS = {  # models by the choice of data; the first is the one to begin with
    "unpaired": UNPAIRED,
    "paired": ("pix2pix", *UNPAIRED),
    "domains": ("stargan2", "multidomain"),
    "style": ("johnson", *UNPAIRED),
    "vintage": ("pix2pix", *UNPAIRED),
    "superres": (),  # these take translator=upscaler, and are left to experiments
    "single_pair": ("pix2pix", *UNPAIRED),
    "flat": GENERATION,
    "labelled": ("cgan", *GENERATION),
}


def main(arguments: list[str]) -> int:
    """1 if there is something to mend."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names in scripts that the terminal cannot write
    report = check(options.folder)
    fits = {data: FITS[data] for data in (report.layout.data, *report.layout.also) if FITS[data]}
    if options.json:
        print(json.dumps(document(report, fits), indent=2))
    else:
        print(text(report, fits))
    return 0 if report.clean else 1


def _parser() -> Parser:
    parser = Parser(
        prog="stylegan-lab data check",
        description="Read every picture below a folder once, and say what was found, what is wrong, and what can be trained on it.",
        epilog="example: stylegan-lab data check photos/    (exit code: 0 clean, 1 something to mend, 2 used wrongly)",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder of pictures, or of folders of them")
    parser.add_argument("--json", action="store_true", help="the same for programs, on standard output")
    return parser
