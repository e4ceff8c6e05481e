"""Write docs/datasets.md from the catalog of data sets (`make docs`); a test checks that the page is current."""

from pathlib import Path

from stylegan_lab.cli.data import size_text
from stylegan_lab.data.download.catalog import DATASETS, PaperDataset

HEAD = """# Download the data sets of the papers

List the published data sets:

```bash
stylegan-lab data list                # all data sets; * marks the downloaded ones
stylegan-lab data list horse2zebra    # all details of one: terms, source, layout, SHA-256
```

A download needs network access. When it is complete, it prints the command that trains on the data
set:

```console
stylegan-lab data download horse2zebra
stylegan-lab train model=cyclegan data=horse2zebra
stylegan-lab data download afhq --accept-terms
stylegan-lab data download edges2shoes --root /mnt/large --keep-archive
```

Data sets are stored below `datasets`, or below `$STYLEGAN_LAB_DATA` if this variable is set.
`data=NAME` looks for them there. After a download with `--root FOLDER`, train with
`data.root=FOLDER/NAME`.

| `data=` | contents | images | download | SHA-256 | folders | terms |
|---|---|---|---|---|---|---|
"""
TAIL = """
`make docs` writes this table from `stylegan_lab/data/download/catalog.py`. A dash means that the
value is not published. Sizes with *about* were rounded by the publishers. *SHA-256: yes* means that
a checksum is published.

This project does not distribute any of these data sets, and its license does not cover them. Each
is downloaded from its publishers (`data list NAME` shows the address), under their terms. If you
have to accept terms, the download requires `--accept-terms`. The license of Cityscapes forbids
redistribution; `data list cityscapes` explains how to obtain it. `ae_photos` only has images to
translate and no training set.

`facades` and `maps` are the pairs of pix2pix. `facades_unpaired` and `maps_unpaired` are the same
images as two domains, as CycleGAN uses them. The image counts, sizes and checksums of the CycleGAN
sets, MNIST, CIFAR-10 and the flowers are those that TensorFlow Datasets publishes. The authors of
the data sets publish no checksum, or only an MD5. A published MD5 is verified too.

MNIST and CIFAR-10 are converted to PNG files in one folder per class. CIFAR-10 is downloaded in its
binary version, because the usual version is a Python pickle, which can run code when it is read.
The flowers keep their official split.

## Guarantees of a download

- **Complete or absent.** A file is downloaded next to its final place, and is moved there after its
  size and checksums have been verified. A data set is extracted into a folder next to its final
  place, and is moved there when it is complete. You can interrupt a download at any time, because a
  data set that exists at its final place is complete.
- **Resumed.** A download stops if the connection is lost, if no data arrives for 30 seconds, or if
  you press Ctrl-C. Run the command again to resume it. The download continues from the received
  part if the server supports this and still has the same file; otherwise it starts again.
- **Verified.** If a SHA-256 is published, the file is compared with it. For other files, the
  SHA-256 of the first download is recorded in `~/.cache/stylegan_lab/sha256.json` (or below
  `$STYLEGAN_LAB_CACHE`), and later downloads are compared with the recorded SHA-256.
- **Encrypted.** All addresses are https, and a redirect to http is refused.
- **Extracted safely.** An archive is refused if an entry would be written outside the folder, has
  an absolute name, is a link or a device, or has a name that some file systems cannot distinguish
  from the name of another entry. It is also refused if it has many more entries than the data set
  has images, or if it expands to more than 100 GB or more than 100 times its size. A refused
  archive leaves no files behind.
- **Works offline.** Without network access, the command fails, and its error message names the file
  and the place to put it. Download the file on another machine, copy it to this place, and run the
  command again: the file is verified and extracted in the same way.
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
