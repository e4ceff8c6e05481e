"""The baselines of the repository are consistent, and mistakes in a baseline file are reported."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from stylegan_lab.config.paths import BASELINES
from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.classifier_metrics import DIRECTIONS
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.reporting.baselines.baseline import Baseline, read_baselines
from tests.reporting.baselines.baselines import YAML, baseline

ALL = read_baselines()
PAPERS = [each for each in ALL if each.source_type not in ("own_runs", "no_model")]


@pytest.mark.parametrize("each", [each for each in ALL if each.overrides], ids=lambda each: each.name)
def test_overrides_of_baselines_compose(each: Baseline, compose_config: Callable[..., DictConfig]) -> None:
    assert compose_config(*each.training_overrides(7)).seed == 7


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_every_baseline_uses_known_metrics_and_directions(each: Baseline) -> None:
    for name, score in each.metrics.items():
        if name in METRICS:
            assert METRICS[name].direction == score.direction
        elif name in DIRECTIONS:
            assert DIRECTIONS[name] == score.direction
        else:
            assert each in PAPERS and each.requires, "a metric that needs weights says so"
    assert each in PAPERS or "gpu_hours" not in each.cost


def test_split_and_number_of_images_match_the_protocol(compose_config: Callable[..., DictConfig]) -> None:
    for each in ALL:
        against_training = "against the training set" in each.protocol
        assert each.unsupported or against_training == (each.split == "train"), each.name
        assert each.unsupported or "5,000 images against" not in each.protocol or each.num_images == 5000, each.name
        if each.split == "train":
            assert "latents" in compose_config(*each.training_overrides(0)).model, "of a generator"


def test_there_are_baselines_of_papers_and_own_runs_with_three_seeds() -> None:
    assert len([each for each in ALL if each.source_type == "own_runs" and len(each.seeds) == 3]) >= 8
    assert {"Isola", "Zhu", "Park", "Choi", "Johnson", "Huang", "Ledig"} <= {each.source.split()[0] for each in PAPERS}


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("title:", "titel:", r"thing.yaml.titel is not a setting of Baseline \(did you mean title\?\)"),
        ("protocol: four images\n", "", "thing.yaml needs protocol"),
        ("experiment: smoke", "experiment: smok", r"thing.yaml: there is no experiment=smok \(did you mean smoke\?\)"),
        (", tolerance: 0.1", "", "thing.yaml.metrics.ssim needs tolerance"),
        ("tolerance: 0.1", "tolerance: -0.1", "thing.yaml.metrics.ssim.tolerance=-0.1: at least 0 is expected"),
        ("tolerance: 0.1", "tolerance: much", "ssim.tolerance=much: a number is expected"),
        ("direction: higher", "direction: more", "ssim.direction=more is unknown; choices: lower, higher"),
        ("source_type: paper", "source_type: true_", "thing.yaml.source_type=true_ is unknown"),
        ("cpu_minutes", "cpu_hours", "thing.yaml.cost=cpu_hours is unknown"),
        ("{cpu_minutes: 1}", "{}", "thing.yaml.cost: one of gpu_hours, cpu_minutes is expected"),
        ("seeds: [0, 1]", "seeds: []", "thing.yaml: seeds is empty"),
        ("seeds: [0, 1]", "seeds: 3", "thing.yaml.seeds=3: a list of a whole number each is expected"),
        ("metrics:\n", "metrics: 0.5\n#", "thing.yaml cannot be read"),
        (YAML, "- a\n", "thing.yaml must be a mapping of keys to values"),
    ],
)
def test_mistakes_in_a_baseline_file_are_reported(before: str, after: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        baseline(YAML.replace(before, after, 1))


def test_the_fingerprint_depends_on_the_tolerance_but_not_on_the_title() -> None:
    first = baseline()
    assert baseline(YAML.replace("Something", "Something else")).fingerprint == first.fingerprint
    for before, after in (
        ("0.05", "0.06"),
        ("num_images: 4", "num_images: 5"),
        ("[0, 1]", "[0, 1, 2]"),
        ("0.5,", "0.4,"),
    ):
        assert baseline(YAML.replace(before, after)).fingerprint != first.fingerprint


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match=r"baseline=cut_scens is unknown \(did you mean cut_scenes\?\)"):
        read_baselines(["cut_scens"])
    assert [each.name for each in read_baselines(["demo", "cut_scenes"])] == ["demo", "cut_scenes"]
    assert len(ALL) == len(list(BASELINES.glob("*.yaml")))
