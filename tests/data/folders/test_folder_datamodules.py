from pathlib import Path

import pytest
import torch

from stylegan_lab.images.batch import DomainBatch, ImageBatch, LabelledBatch, PairedBatch, StyleBatch, UnpairedBatch
from tests.data.folders.photos import batches, data_of, photo, photos
from tests.refusals import refused

SIZES = {"a": (2, 3, 16, 16), "b": (2, 3, 16, 16)}


def shapes(batch: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape) for name, values in batch.items()}


@pytest.fixture
def cyclegan(tmp_path: Path) -> Path:
    for split, count in (("train", 6), ("test", 3)):
        photos(tmp_path / "root" / f"{split}A", count)
        photos(tmp_path / "root" / f"{split}B", count + 2, first=100, size=(12, 30))
    return tmp_path / "root"


def test_unpaired_folders_named_as_in_cyclegan(cyclegan: Path) -> None:
    data = data_of("data=unpaired", f"data.root={cyclegan}")
    assert data.batch_type is UnpairedBatch and data.num_samples == 8
    assert shapes(batches(data)[0]) == SIZES
    assert len(data.held_out("test")) == 5  # type: ignore[arg-type]
    assert shapes(data.first_batch("val", 100)) == {"a": (5, 3, 16, 16), "b": (5, 3, 16, 16)}
    assert any("val is test" in note for note in data.plan_notes)


def test_any_two_folders(tmp_path: Path) -> None:
    photos(tmp_path / "x", 20), photos(tmp_path / "y" / "deep", 10)
    data = data_of("data=unpaired", f"data.a={tmp_path / 'x'}", f"data.b={tmp_path / 'y'}", "data.val_fraction=0.1")
    assert [len(domain) for domain in data.files["train"]] == [16, 8]  # type: ignore[attr-defined]
    assert shapes(batches(data)[0]) == SIZES
    with refused("data.folder_not_set", "data.a", "data.b=FOLDER"):
        data_of("data=unpaired", f"data.a={tmp_path / 'x'}")


@pytest.mark.parametrize(("sides", "first"), [("AB", "a"), ("BA", "b")])
def test_pairs_side_by_side(tmp_path: Path, sides: str, first: str) -> None:
    for split in ("train", "val"):
        for number in range(4):
            photo(tmp_path / "root" / split / f"{number}.png", 10 + number, (16, 16), right=200 + number)
    data = data_of("data=paired", f"data.root={tmp_path / 'root'}", f"data.sides={sides}", "augment=none")
    assert data.batch_type is PairedBatch and data.has_true_pairs and data.num_samples == 4
    second = "b" if first == "a" else "a"
    for batch in batches(data):
        left, right = batch[first][:, 0, 8, 8], batch[second][:, 0, 8, 8]
        assert torch.equal(right - left, torch.full((2,), 190, dtype=torch.uint8))
    assert shapes(data.first_batch("test", 8)) == {"a": (4, 3, 16, 16), "b": (4, 3, 16, 16)}
    assert len(data.reference_pairs()) == 4  # type: ignore[arg-type]


def test_shuffled_pairs_train_unpaired_and_are_evaluated_with_true_pairs(tmp_path: Path) -> None:
    for number in range(20):
        photo(tmp_path / "root" / f"{chr(97 + number)}.png", 10 + number, (16, 16), right=200 + number)
    arguments = (
        "data=paired",
        f"data.root={tmp_path / 'root'}",
        "augment=none",
        "data.batch_size=1",
        "data.shuffled=true",
    )
    data = data_of(*arguments)
    assert data.batch_type is UnpairedBatch and data.has_true_pairs
    seen = [batch["b"][0, 0, 8, 8] - batch["a"][0, 0, 8, 8] for batch in batches(data, 17)]
    assert len(seen) == data.num_samples == 17 and 190 not in seen
    again = [batch["b"][0, 0, 8, 8] - batch["a"][0, 0, 8, 8] for batch in batches(data_of(*arguments), 17)]
    assert seen == again
    test = data.first_batch("test", 8)
    assert torch.allclose(test["b"][:, 0, 8, 8] - test["a"][:, 0, 8, 8], torch.full((2,), 190 / 127.5))
    with refused("data.too_few_pairs", "data.shuffled=true"):
        data_of(*arguments, "data.val_fraction=0.5", "data.test_fraction=0.45")


def test_pairs_in_two_folders_receive_the_same_crop(tmp_path: Path) -> None:
    for side in ("photo", "label"):
        for number in range(10):
            path = photo(tmp_path / side / "sub" / f"{number}{'.png' if side == 'label' else '.bmp'}", 0, (24, 24))
            noise = torch.randint(256, (24, 24), generator=torch.Generator().manual_seed(number), dtype=torch.uint8)
            from PIL import Image

            Image.fromarray(noise.numpy()).save(path)
    data = data_of("data=paired", f"data.a={tmp_path / 'photo'}", f"data.b={tmp_path / 'label'}", "data.load_size=24")
    assert all(torch.equal(batch["a"], batch["b"]) for batch in batches(data))


def test_domains_with_and_without_splits(tmp_path: Path) -> None:
    for place, name in enumerate(("cat", "dog", "wild")):
        photos(tmp_path / "plain" / name, 5, first=50 * place)
        photos(tmp_path / "afhq" / "train" / name, 4 + place)
        photos(tmp_path / "afhq" / "val" / name, 2)
    plain = data_of("data=domains", f"data.root={tmp_path / 'plain'}", "augment=none")
    assert plain.batch_type is DomainBatch and plain.domains == ["cat", "dog", "wild"] and plain.source == "cat"  # type: ignore[attr-defined]
    for batch in batches(plain):
        assert {"a", "b", "other", "source", "target"} == set(batch)
        for name, domain in (("a", "source"), ("b", "target"), ("other", "target")):
            assert torch.equal((batch[name][:, 0, 8, 8].long() - 10) // 50, batch[domain])
        assert not torch.equal(batch["source"], batch["target"])
    afhq = data_of(
        "data=domains",
        f"data.root={tmp_path / 'afhq'}",
        "data.domains=[dog,wild]",
        "data.source=dog",
        "data.target=wild",
    )
    assert afhq.num_samples == 5 + 6
    with refused("config.unknown_choice", "data.domains=bird", "cat, dog, wild"):
        data_of("data=domains", f"data.root={tmp_path / 'afhq'}", "data.domains=[dog,bird]")


def test_labelled_images(tmp_path: Path) -> None:
    photos(tmp_path / "root" / "one", 6), photos(tmp_path / "root" / "two", 6, first=100)
    data = data_of("data=labelled", f"data.root={tmp_path / 'root'}", "augment=none")
    assert data.batch_type is LabelledBatch and data.classes == ["one", "two"]  # type: ignore[attr-defined]
    for batch in batches(data):
        assert torch.equal((batch["image"][:, 0, 8, 8] >= 110).long(), batch["label"])
    assert set(data.first_batch("test", 2)) == {"image", "label"}


@pytest.mark.parametrize(
    ("layout", "changes"),
    [
        ("labelled", ["augment=strong"]),
        ("flat", ["augment=strong"]),
        ("unpaired", ["augment=strong"]),
        ("auto", ["augment=strong"]),
        ("labelled", ["augment=flip"]),
        ("unpaired", ["augment=paper", "data.load_size=20"]),
    ],
)
def test_training_batches_are_unaugmented(tmp_path: Path, layout: str, changes: list[str]) -> None:
    """Each photo has a white corner, at the left."""
    root = tmp_path / "root" / "one" if layout == "flat" else tmp_path / "root"
    photos(tmp_path / "root" / "one", 6), photos(tmp_path / "root" / "two", 6, first=100)
    data = data_of(f"data={layout}", f"data.root={root}", *changes, "augment.flip.p=1")
    few, *more = data.training_batches(4)
    assert len(more) == 1
    for name in few.keys() & {"image", "a", "b"}:
        plain = torch.cat([few[name], more[0][name]])
        assert plain.shape == (4, 3, 16, 16) and (plain[:, 1, 0, 0] > plain[:, 1, 0, -1] + 0.1).all()
    if layout == "labelled":
        assert data.class_counts().tolist() == [4, 4]  # type: ignore[attr-defined]


def test_a_single_style_and_several_styles(tmp_path: Path) -> None:
    photos(tmp_path / "root" / "content", 8)
    photo(tmp_path / "root" / "style" / "wave.png", 250)
    one = data_of("data=style", f"data.root={tmp_path / 'root'}")
    assert one.batch_type is StyleBatch
    assert len({batch["b"][0].sum().item() for batch in batches(one)}) == 1
    photo(tmp_path / "root" / "style" / "scream.png", 20)
    assert data_of("data=style", f"data.root={tmp_path / 'root'}").batch_type is UnpairedBatch
    image = f"data.styles={tmp_path / 'root' / 'style' / 'wave.png'}"
    assert data_of("data=style", f"data.contents={tmp_path / 'root' / 'content'}", image).batch_type is StyleBatch


def test_a_flat_folder(tmp_path: Path) -> None:
    data = data_of("data=flat", f"data.root={photos(tmp_path / 'root', 10)}")
    assert data.batch_type is ImageBatch and data.num_samples == 8
    assert shapes(batches(data)[0]) == {"image": (2, 3, 16, 16)}


def test_a_single_pair(tmp_path: Path) -> None:
    a, b = photo(tmp_path / "a.png", 10, (40, 30)), photo(tmp_path / "b.png", 20, (40, 30))
    data = data_of("data=single_pair", f"data.a={a}", f"data.b={b}", "data.load_size=24", "data.crops=6")
    assert data.batch_type is PairedBatch and data.num_samples == 6 and len(batches(data)) == 3
    assert shapes(data.first_batch("test", 4)) == {"a": (1, 3, 16, 16), "b": (1, 3, 16, 16)}
    both = photo(tmp_path / "both.png", 10, (16, 16), right=99)
    assert shapes(batches(data_of("data=single_pair", f"data.root={both}"))[0]) == SIZES
    with refused("data.pair_sizes_differ", "a.png is 40x30", "c.png 41x30"):
        _ = data_of("data=single_pair", f"data.a={a}", f"data.b={photo(tmp_path / 'c.png', 1, (41, 30))}").num_samples


def test_degradation_varies_in_training_and_is_fixed_for_held_out_images(tmp_path: Path) -> None:
    data = data_of("data=vintage", f"data.root={photos(tmp_path / 'root', 10)}", "augment=none")
    assert data.batch_type is PairedBatch and data.has_true_pairs
    samples = data.train_samples()
    assert torch.equal(samples[0, 1]["a"], samples[1, 1]["a"])  # type: ignore[index]
    assert not torch.equal(samples[0, 1]["b"], samples[1, 1]["b"])  # type: ignore[index]
    assert torch.equal(samples[0, 1]["b"], samples[0, 1]["b"])  # type: ignore[index]
    assert torch.equal(data.first_batch("val", 1)["b"], data.first_batch("val", 1)["b"])
    restore = data_of("data=vintage", f"data.root={tmp_path / 'root'}", "augment=none", "data.restore=true")
    assert torch.equal(restore.train_samples()[0, 1]["a"], samples[0, 1]["b"])  # type: ignore[index]


def test_degradation_of_held_out_images_does_not_depend_on_other_images(tmp_path: Path) -> None:
    root = photos(tmp_path / "root" / "test", 3).parent
    photos(root / "train", 3, first=50)
    before = data_of("data=vintage", f"data.root={root}").first_batch("test", 3)["b"]
    photo(root / "test" / "0000.png")
    assert torch.equal(data_of("data=vintage", f"data.root={root}").first_batch("test", 4)["b"][[0, 2, 3]], before)


def test_super_resolution(tmp_path: Path) -> None:
    data = data_of("data=superres", f"data.root={photos(tmp_path / 'root', 6)}", "data.factor=2")
    assert data.factor == 2
    assert shapes(batches(data)[0]) == {"a": (2, 3, 8, 8), "b": (2, 3, 16, 16)}
    large = data_of("data=superres", f"data.root={tmp_path / 'root'}", "degrade.downscale.keep_size=true")
    assert large.factor == 1 and shapes(batches(large)[0]) == SIZES
    with refused("data.restore_needed", "data.restore=true", "degrade.downscale.keep_size=true"):
        data_of("data=superres", f"data.root={tmp_path / 'root'}", "data.restore=false")
    with refused("data.factor_mismatch", "data.factor=4", "data.factor=2"):
        data_of("data=superres", f"data.root={tmp_path / 'root'}", "degrade.downscale.factor=2")


def test_auto_reports_the_detected_layout(cyclegan: Path, tmp_path: Path) -> None:
    data = data_of("data=auto", f"data.root={cyclegan}")
    assert data.batch_type is UnpairedBatch and shapes(batches(data)[0]) == SIZES
    assert data.plan_notes[0].startswith(f"{cyclegan} looks like data=unpaired")
    for number in range(9):
        photo(tmp_path / "pairs" / "train" / f"{number}.png", 9, (16, 16), right=99)
    pairs = data_of("data=auto", f"data.root={tmp_path / 'pairs'}", "data.sides=BA", "augment=none")
    assert pairs.batch_type is PairedBatch and pairs.has_true_pairs and pairs.reference_pairs() is not None
    assert batches(pairs)[0]["a"][0, 0, 8, 8] == 99
    for name in ("x", "y", "z"):
        photos(tmp_path / "several" / name, 4)
    assert data_of("data=auto", f"data.root={tmp_path / 'several'}").batch_type is DomainBatch


def test_auto_equals_the_detected_layout(cyclegan: Path) -> None:
    auto, plain = (data_of(f"data={name}", f"data.root={cyclegan}", "seed=3") for name in ("auto", "unpaired"))
    for one, other in zip(batches(auto), batches(plain), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels(tmp_path: Path, channels: int) -> None:
    data = data_of("data=flat", f"data.root={photos(tmp_path / 'root', 6)}", f"data.channels={channels}")
    assert shapes(batches(data)[0]) == {"image": (2, channels, 16, 16)}


def test_16_bits_are_kept_in_floats(tmp_path: Path) -> None:
    data = data_of("data=flat", f"data.root={photos(tmp_path / 'root', 6)}", "data.bit_depth=16")
    batch = batches(data)[0]["image"]
    assert batch.dtype == torch.float32 and batch.min() >= -1 and batch.max() <= 1


def test_held_out_images_have_one_size_for_every_resize(cyclegan: Path) -> None:
    for resize in ("resize", "shortest", "shortest_crop", "pad", "none"):
        data = data_of(
            "data=unpaired", f"data.root={cyclegan}", f"resize={resize}", "data.load_size=18", "data.size=12"
        )
        assert shapes(data.first_batch("test", 5)) == {"a": (5, 3, 12, 12), "b": (5, 3, 12, 12)}


def test_held_out_images_are_resized_directly_to_the_final_size(tmp_path: Path) -> None:
    root = photos(tmp_path / "root", 6, size=(16, 16))
    data = data_of("data=flat", f"data.root={root}", "data.load_size=24")
    plain = data_of("data=flat", f"data.root={root}")
    assert torch.equal(data.first_batch("test", 1)["image"], plain.first_batch("test", 1)["image"])


def test_sizes_that_cannot_be_batched_are_errors(tmp_path: Path) -> None:
    root = photos(tmp_path / "root", 6)
    with refused("data.image_sizes_differ", "data.batch_size=2", "augment=paper"):
        data_of("data=flat", f"data.root={root}", "resize=shortest", "augment=flip")
    with refused("data.size_mismatch", "24x24", "data.size=16", "augment=paper"):
        data_of("data=flat", f"data.root={root}", "data.load_size=24", "augment=flip")
    assert batches(data_of("data=flat", f"data.root={root}", "resize=none", "augment=flip", "data.batch_size=1"))
