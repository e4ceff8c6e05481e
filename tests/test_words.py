"""docs/check_words.py finds words for which the docs have better ones, and the docs have none of them."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "docs" / "check_words.py"
SPEC = importlib.util.spec_from_file_location("check_words", SCRIPT)
assert SPEC is not None and SPEC.loader is not None
check_words = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check_words)


def test_docs_configs_and_code_have_no_words_to_avoid(capsys: pytest.CaptureFixture[str]) -> None:
    names = {path.relative_to(check_words.ROOT).as_posix() for path in check_words.checked_files()}
    assert {"README.md", "docs/index.md", "conf/loss/hinge.yaml", "stylegan_lab/models/base.py"} <= names
    assert check_words.main([]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "sentence",
    [
        "The critic is updated first.",
        "The generator is\ntold the class.",  # on two lines
        "A GIF is no photo.",
        "The score is held against the paper's.",
        "Whoever descends moves.",
        "The verdict of the discriminator",
        "It stops after so many iterations.",
    ],
)
def test_a_word_to_avoid_is_found(sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\n{sentence}\n", encoding="utf-8")
    assert check_words.main([str(page)]) == 1
    assert f"{page}:3: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "sentence",
    [
        "There is no checkpoint.",
        "The run is no longer trained.",
        "It is no faster.",
        "WGAN clips the weights of the critic.",
        "It does not descend into hidden folders.",
        "You can judge a model by its images.",
        "n_critic=5",
    ],
)
def test_plain_english_passes(sentence: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(sentence, encoding="utf-8")
    assert check_words.main([str(page)]) == 0
