"""A loaded model gives back what it is given: the same type, the same size, the same pixels."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stylegan_lab
from stylegan_lab import LoadedModel
from stylegan_lab.cli.main import run
from stylegan_lab.images.image_io import read_image, write_image
from tests.refusals import refused

BUILT: dict[str, LoadedModel] = {}
OVERRIDES = {
    "cyclegan": ["experiment=smoke"],
    "superres": ["experiment=smoke", "data=scenes_superres", "model=perceptual", "model.paired=true", "generator=srresnet_small"],
    "multidomain": ["experiment=smoke", "model=multidomain", "data=scenes_domains"],
    "stargan2": ["experiment=smoke", "model=stargan2", "data=scenes_domains", "generator=stargan2_small"],
    "classes": ["experiment=smoke_generation", "data=scenes_labelled", "model=cgan", "model.classes=${data.classes}"],
}  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], LoadedModel]:
    folder = tmp_path_factory.mktemp("trained")

    def load(name: str) -> LoadedModel:
        if name not in BUILT:
            words = [*OVERRIDES[name], "logger=none", "evaluate=false", "iterations=1", f"output_dir={folder / name}"]
            BUILT[name] = stylegan_lab.load(stylegan_lab.train(*words))
        return BUILT[name]

    return load


def noise(height: int = 101, width: int = 67) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))


def test_every_type_comes_back_with_its_size_and_the_same_pixels(trained: Callable[[str], LoadedModel]) -> None:
    model = trained("cyclegan")
    assert not model.module.training and model.directions == ("a2b", "b2a")
    array = (noise() * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    image = Image.fromarray(array)
    as_image, as_array = model.translate(image), model.translate(array)
    assert as_image.size == image.size == (67, 101)
    assert (
        as_array.dtype == np.uint8 and as_array.shape == array.shape and np.array_equal(as_array, np.asarray(as_image))
    )
    tensor = torch.from_numpy(array).permute(2, 0, 1).float() / 255
    single, batch = model.translate(tensor), model.translate(torch.stack([tensor, tensor.flip(-1)]))
    assert single.shape == tensor.shape and batch.shape == (2, *tensor.shape) and torch.equal(batch[0], single)
    assert torch.equal((single * 255).round().byte().permute(1, 2, 0), torch.from_numpy(as_array))
    assert single.min() >= 0 and single.max() <= 1
    assert model.translate(tensor.double()).dtype == torch.float64
    assert model.translate(image.convert("L")).mode == "RGB"
    assert not torch.equal(model.translate(tensor, "b2a"), single)


def test_the_command_translates_to_the_same_pixels(trained: Callable[[str], LoadedModel]) -> None:
    write_image(noise() * 2 - 1, Path("in.png"))
    assert run(["translate", trained("cyclegan").path, "in.png", "out.png"]) == 0
    image = trained("cyclegan").translate(Image.open("in.png"))
    assert np.array_equal(np.asarray(image), np.asarray(Image.open("out.png")))
    assert read_image(Path("out.png")).shape == (3, 101, 67)


def test_a_super_resolution_model_enlarges(trained: Callable[[str], LoadedModel]) -> None:
    assert trained("superres").translate(noise(20, 33)).shape == (3, 40, 66)


def test_domains_are_directions_and_styles_come_from_a_seed_or_a_reference(
    trained: Callable[[str], LoadedModel],
) -> None:
    multidomain, stargan2 = trained("multidomain"), trained("stargan2")
    domain = multidomain.domains[-1]
    assert multidomain.translate(noise(), domain).shape == (3, 101, 67)
    with refused("translate.unknown_direction", "direction=atob", "a2b, b2a, ", domain):
        multidomain.translate(noise(), "atob")
    with refused("translate.seed_unsupported", "seed=1"):
        multidomain.translate(noise(), seed=1)
    with refused("model.no_references"):
        multidomain.translate(noise(), reference=noise())
    plain, seeded = stargan2.translate(noise()), stargan2.translate(noise(), seed=1)
    assert torch.equal(stargan2.translate(noise()), plain) and not torch.equal(plain, seeded)
    assert stargan2.translate(noise(), reference=noise(32, 32)).shape == (3, 101, 67)


@pytest.mark.parametrize(
    ("image", "code", "named"),
    [
        (noise() * 2 - 1, "wrong_image_range", "-1 to 1"),
        (noise() * 255, "wrong_image_range", "to 25"),
        (noise() * float("nan"), "wrong_image_range", "nan to nan"),
        (noise()[:1], "wrong_image_layout", "float32 in (1, 101, 67)"),
        ((noise() * 255).byte(), "wrong_image_layout", "uint8 in (3, 101, 67)"),
        (np.zeros((4, 4, 3)), "wrong_image_layout", "float64 in (4, 4, 3)"),
        (np.zeros((4, 4), np.uint8), "wrong_image_layout", "uint8 in (4, 4)"),
        ("photo.png", "wrong_image_type", "str"),
    ],
)
def test_other_inputs_are_refused(image: object, code: str, named: str, trained: Callable[[str], LoadedModel]) -> None:
    with refused(f"translate.{code}", "image", named):
        trained("cyclegan").translate(image)


def test_images_from_noise(trained: Callable[[str], LoadedModel]) -> None:
    model = trained("classes")
    few, more = model.generate(2, seed=3), model.generate(3, seed=3)
    assert [np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(few, more, strict=False)] == [True, True]
    assert model.generate(1, label=model.classes[1])[0].size == few[0].size
    with refused("cli.unknown_choice", "label=nothing"):
        model.generate(label="nothing")
    with refused("config.too_small", "n=0"):
        model.generate(0)
    with refused("translate.generation_model", "classes", "stylegan-lab generate"):
        model.translate(noise())
    with refused("generate.translation_model", "CycleGAN"):
        trained("cyclegan").generate()


def test_a_checkpoint_is_loaded_by_name_by_path_or_by_its_run(trained: Callable[[str], LoadedModel]) -> None:
    path = Path(trained("cyclegan").path)
    for model in (
        stylegan_lab.load(path),
        stylegan_lab.load(path / "checkpoints" / "000001.ckpt"),
        stylegan_lab.load(stylegan_lab.Run(str(path)), "000001"),
    ):
        assert torch.equal(model.translate(noise()), trained("cyclegan").translate(noise()))
    with refused("checkpoint.not_found", "000009"):
        stylegan_lab.load(path, "000009")
