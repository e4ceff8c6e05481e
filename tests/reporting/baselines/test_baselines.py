"""The baselines of the repository are consistent, and mistakes in a baseline file are reported."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from stylegan_lab.config.paths import BASELINES
from stylegan_lab.evaluation.classifier_metrics import DIRECTIONS
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.reporting.baselines.baseline import Baseline, read_baselines
from tests.refusals import refused
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
    ("before", "after", "code", "named"),
    [
        ("title:", "titel:", "config.unknown_setting", ["thing.yaml.titel", "did you mean title?"]),
        ("protocol: four images\n", "", "config.missing_setting", ["thing.yaml", "protocol"]),
        ("experiment: smoke", "experiment: smok", "baseline.unknown_experiment", ["thing.yaml", "did you mean smoke?"]),
        (", tolerance: 0.1", "", "config.missing_setting", ["thing.yaml.metrics.ssim", "tolerance"]),
        ("tolerance: 0.1", "tolerance: -0.1", "config.too_small", ["thing.yaml.metrics.ssim.tolerance=-0.1"]),
        ("tolerance: 0.1", "tolerance: much", "config.wrong_type", ["ssim.tolerance=much"]),
        ("direction: higher", "direction: more", "config.unknown_choice", ["ssim.direction=more", "lower, higher"]),
        ("source_type: paper", "source_type: true_", "config.unknown_choice", ["thing.yaml.source_type=true_"]),
        ("cpu_minutes", "cpu_hours", "config.unknown_choice", ["thing.yaml.cost=cpu_hours"]),
        ("{cpu_minutes: 1}", "{}", "baseline.not_one_cost", ["thing.yaml.cost", "gpu_hours, cpu_minutes"]),
        ("seeds: [0, 1]", "seeds: []", "baseline.no_seeds", ["thing.yaml: seeds"]),
        ("seeds: [0, 1]", "seeds: 3", "config.wrong_type", ["thing.yaml.seeds=3"]),
        ("metrics:\n", "metrics: 0.5\n#", "baseline.unreadable", ["thing.yaml"]),
        (YAML, "- a\n", "baseline.not_a_mapping", ["thing.yaml"]),
    ],
)
def test_mistakes_in_a_baseline_file_are_reported(before: str, after: str, code: str, named: list[str]) -> None:
    with refused(code, *named):
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
    with refused("config.unknown_choice", "baseline=cut_scens", "did you mean cut_scenes?"):
        read_baselines(["cut_scens"])
    assert [each.name for each in read_baselines(["demo", "cut_scenes"])] == ["demo", "cut_scenes"]
    assert len(ALL) == len(list(BASELINES.glob("*.yaml")))
