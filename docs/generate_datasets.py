"""Writes datasets.md from the catalogue, so that the page cannot go stale: `make docs`; a test compares."""

from pathlib import Path

from stylegan_lab.cli.data import size_text
from stylegan_lab.data.download.catalog import DATASETS, PaperDataset

HEAD = """# The papers' data sets

Written by `make docs` from `stylegan_lab/data/download/catalog.py`.

```bash
stylegan-lab data list                # what there is, and which of it is here
stylegan-lab data list horse2zebra    # all that is known of one: terms, source, layout, hashes
```

A download needs the network, and ends with the command that trains on it:

```console
stylegan-lab data download horse2zebra
stylegan-lab train model=cyclegan data=horse2zebra
stylegan-lab data download afhq --accept-terms
stylegan-lab data download edges2shoes --root /mnt/large --keep-archive
```

Sets are put below `datasets`, or below `$STYLEGAN_LAB_DATA`, where `data=NAME` looks for them; with `--root` elsewhere, give
`data.root=FOLDER/NAME`.

| `data=` | what | images | to fetch | SHA-256 | folders | terms |
|---|---|---|---|---|---|---|
"""
TAIL = """
Nothing here is given out by this project, and none of its licences covers them: each set comes from those who publish it
(`data list NAME` says whence), on their terms. Where terms have to be accepted, a download asks for `--accept-terms`.
Cityscapes may not be given out by others: `data list cityscapes` says how to get it. `ae_photos` are images to translate, with
nothing to train on. A dash stands for what nobody publishes; sizes with *about* are rounded by those who publish them.

`facades` and `maps` are pix2pix's pairs; `facades_unpaired` and `maps_unpaired` are CycleGAN's two domains of the same. Numbers,
sizes and hashes of the CycleGAN sets, MNIST, CIFAR-10 and the flowers are those that TensorFlow Datasets publishes; their makers
publish none, or MD5 alone, which is then checked as well. MNIST and CIFAR-10 become PNG files in a folder for each class;
CIFAR-10 is taken in its binary version, since the usual one is a Python pickle, which may run code when it is read. The flowers
stand in their official split.

## What a download promises

- **Whole or not at all.** A file is received beside its place and put there once its length and hashes are right; a set is unpacked
  beside its folder and put there once it is whole. Interrupt it at any moment: what stands under its name is complete.
- **It goes on.** Repeat the command after a broken line, a stall (30 seconds without a byte) or Ctrl-C: what came is kept and gone
  on with where the server can do that and still has the same file, else it starts over.
- **The right bytes.** Where a SHA-256 is published, the file is held against it. Where none is, the first download is trusted, its
  hash is recorded in `~/.cache/stylegan_lab/sha256.json` (below `$STYLEGAN_LAB_CACHE` if that is set), and later downloads are held
  against that.
- **Only encrypted.** All addresses are https, and one that leads on to plain http is refused.
- **Unpacked with care.** Names that lead out of the folder, absolute names, links, devices, names that a disk may take for one
  another, many more entries than images, more bytes than any set has, and whatever grows a hundredfold are refused; nothing is
  unpacked then.
- **Without network here:** fetch the file elsewhere (the message says which, and where to put it) and repeat the command; it is
  checked and unpacked just the same.
"""


def page() -> str:
    return HEAD + "".join(_row(each) for each in DATASETS.values()) + TAIL


def _row(each: PaperDataset) -> str:
    hashed = "yes" if each.files and all(file.expected.sha256 for file in each.files) else "–"
    cells = (
        f"`{each.name}`",
        each.contents,
        each.images or "–",
        size_text(each).replace("unknown", "–"),
        hashed,
        each.layout,
        each.terms,
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    Path(__file__).with_name("datasets.md").write_text(page())
