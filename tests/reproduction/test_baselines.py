"""What a baseline says, and the sentences that answer what it should not."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from stylegan_lab.conf_dir import BASELINES
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.marks import BETTER
from stylegan_lab.mistake import Mistake
from stylegan_lab.reproduction.baseline import Baseline, read_baselines
from tests.reproduction.baselines import YAML, baseline

ALL = read_baselines()
PAPERS = [each for each in ALL if each.standing not in ("recorded", "bar")]


@pytest.mark.parametrize("each", [each for each in ALL if each.overrides], ids=lambda each: each.name)
def test_overrides_of_baselines_compose(each: Baseline, composed: Callable[..., DictConfig]) -> None:
    assert composed(*each.training(7)).seed == 7


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_every_baseline_knows_its_metrics(each: Baseline) -> None:
    for name, number in each.numbers.items():
        if name in METRICS:
            assert METRICS[name].better == number.better
        elif name in BETTER:
            assert BETTER[name] == number.better
        else:
            assert each in PAPERS and each.needs, "what cannot be measured without weights says what it needs"
    assert each in PAPERS or "gpu_hours" not in each.cost


def test_what_a_protocol_says_is_what_is_measured(composed: Callable[..., DictConfig]) -> None:
    for each in ALL:
        against_training = "against the training set" in each.protocol
        assert each.lacks or against_training == (each.split == "train"), each.name
        assert each.lacks or "5,000 pictures against" not in each.protocol or each.n == 5000, each.name
        if each.split == "train":
            assert "latents" in composed(*each.training(0)).model, "of a generator"


def test_papers_are_there_and_at_least_eight_variants_over_three_seeds() -> None:
    assert len([each for each in ALL if each.standing == "recorded" and len(each.seeds) == 3]) >= 8
    assert {"Isola", "Zhu", "Park", "Choi", "Johnson", "Huang", "Ledig"} <= {each.source.split()[0] for each in PAPERS}


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("title:", "titel:", r"thing.yaml.titel is no setting of Baseline \(did you mean title\?\)"),
        ("protocol: four pictures\n", "", "thing.yaml needs protocol"),
        ("experiment: smoke", "experiment: smok", r"thing.yaml: there is no experiment=smok \(did you mean smoke\?\)"),
        (", tolerance: 0.1", "", "thing.yaml.numbers.ssim needs tolerance"),
        ("tolerance: 0.1", "tolerance: -0.1", "thing.yaml.numbers.ssim.tolerance=-0.1: at least 0 is expected"),
        ("tolerance: 0.1", "tolerance: much", "ssim.tolerance=much: a number is expected"),
        ("better: higher", "better: more", "ssim.better=more is unknown; choices: lower, higher"),
        ("standing: cited", "standing: true_", "thing.yaml.standing=true_ is unknown"),
        ("cpu_minutes", "cpu_hours", "thing.yaml.cost=cpu_hours is unknown"),
        ("{cpu_minutes: 1}", "{}", "thing.yaml.cost: one of gpu_hours, cpu_minutes is expected"),
        ("seeds: [0, 1]", "seeds: []", "thing.yaml: seeds is empty"),
        ("seeds: [0, 1]", "seeds: 3", "thing.yaml.seeds=3: a list of a whole number each is expected"),
        ("numbers:\n", "numbers: 0.5\n#", "thing.yaml cannot be read"),
        (YAML, "- a\n", "thing.yaml is no table of keys and values"),
    ],
)
def test_mistakes_are_answered_with_a_sentence(before: str, after: str, sentence: str) -> None:
    with pytest.raises(Mistake, match=sentence):
        baseline(YAML.replace(before, after, 1))


def test_a_changed_tolerance_is_another_baseline_and_a_changed_title_is_not() -> None:
    first = baseline()
    assert baseline(YAML.replace("Something", "Something else")).fingerprint == first.fingerprint
    for before, after in (("0.05", "0.06"), ("n: 4", "n: 5"), ("[0, 1]", "[0, 1, 2]"), ("0.5,", "0.4,")):
        assert baseline(YAML.replace(before, after)).fingerprint != first.fingerprint


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(Mistake, match=r"baseline=cut_scens is unknown \(did you mean cut_scenes\?\)"):
        read_baselines(["cut_scens"])
    assert [each.name for each in read_baselines(["demo", "cut_scenes"])] == ["demo", "cut_scenes"]
    assert len(ALL) == len(list(BASELINES.glob("*.yaml")))
