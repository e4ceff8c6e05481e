"""`make test-fast` runs the tests of what was changed, and no others."""

from pathlib import Path

import pytest

from tests.changed import ALWAYS, STARTS_TRAININGS, choose_tests

FILES = {
    "tests/losses/test_gan_loss.py": "",
    "tests/losses/test_dirac.py": "from stylegan_lab.losses.gan_loss import HingeLoss",
    "tests/losses/test_lpips.py": "from stylegan_lab.losses.gan_loss_of_another import x",
    "tests/losses/deep/test_deep.py": "from stylegan_lab.losses import dirac, gan_loss",
    "tests/losses/test_long.py": f"from stylegan_lab.losses.gan_loss import LSGANLoss; import {STARTS_TRAININGS}",
    "tests/models/test_cut.py": "from stylegan_lab.losses.gan_loss import HingeLoss",
    "tests/test_rng.py": "from stylegan_lab.rng import per_sample_rng",
    "tests/config/test_configs.py": "",
}


@pytest.mark.parametrize(
    ("changed", "tests"),
    [
        (["tests/models/test_cut.py", "tests/models/test_deleted.py"], ["tests/models/test_cut.py"]),
        (
            ["stylegan_lab/losses/gan_loss.py"],
            ["tests/losses/deep/test_deep.py", "tests/losses/test_dirac.py", "tests/losses/test_gan_loss.py"],
        ),
        (["tests/losses/test_long.py"], []),
        (["stylegan_lab/rng.py", "tests/test_rng.py"], ["tests/test_rng.py"]),
        (["tests/config/test_configs.py", "conf/loss/hinge.yaml", "docs/data.md", "tests/conftest.py"], []),
    ],
)
def test_a_changed_file_has_the_tests_that_mirror_or_import_it(
    changed: list[str], tests: list[str], tmp_path: Path
) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert choose_tests(changed, tmp_path) == ALWAYS + tests


def test_the_tests_that_always_run_are_there() -> None:
    assert all((Path(__file__).parent.parent / name).exists() for name in ALWAYS)
