"""`stylegan-lab data check`: read every picture below a folder once, and say what was found and what can be done with it."""

import json
import sys
from pathlib import Path

from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.data.folders.checking import check
from stylegan_lab.data.folders.layout import Layout
from stylegan_lab.data.folders.telling import document, text

UNPAIRED = ("cyclegan", "cut", "fastcut", "adain", "perceptual")
FITS = {  # models by the choice of data; the first is the one to begin with
    "unpaired": UNPAIRED,
    "paired": ("pix2pix", *UNPAIRED),
    "domains": ("multidomain",),
    "style": ("johnson", *UNPAIRED),
    "vintage": ("pix2pix", *UNPAIRED),
    "superres": ("pix2pix", *UNPAIRED),
    "single_pair": ("pix2pix", *UNPAIRED),
}


def main(arguments: list[str]) -> int:
    """1 if there is something to mend."""
    options = _parser().parse_args(arguments)
    report = check(options.folder)
    fits = {data: FITS[data] for data in (report.layout.data, *report.layout.also) if data in FITS}
    if options.json:
        print(json.dumps(document(report, fits), indent=2))
    else:
        print(text(report, fits))
    return 0 if report.clean else 1
