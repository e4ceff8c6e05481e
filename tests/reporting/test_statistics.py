"""Statistics: tests of means, confidence intervals of proportions, strengths from pairwise votes."""

from math import comb

import pytest

from stylegan_lab.reporting.statistics import (
    bradley_terry,
    holm_bonferroni,
    permutation_test,
    t_tail_probability,
    welch_t_test,
    wilson_interval,
)


def test_students_t_matches_tables() -> None:
    for t, degrees, p_value in [
        (12.706, 1, 0.05),
        (4.303, 2, 0.05),
        (2.776, 4, 0.05),
        (3.169, 10, 0.01),
        (1.962, 1000, 0.05),
    ]:
        assert t_tail_probability(t, degrees) == pytest.approx(p_value, rel=2e-3)
    assert t_tail_probability(0, 1.5) == pytest.approx(1)


def test_tests_of_means_are_symmetric_and_scale_invariant() -> None:
    one, other = [1.0, 2.0, 4.0], [3.0, 5.0, 6.0, 9.0]
    for test in (welch_t_test, permutation_test):
        p_value = test(one, other)
        assert p_value == pytest.approx(test(other, one))
        assert p_value == pytest.approx(test([10 * x - 3 for x in other], [10 * x - 3 for x in one]))
        assert test(one, one) == pytest.approx(1)
    assert permutation_test([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(2 / 70)
    assert welch_t_test([1.0], other) is None and welch_t_test([1, 1], [2, 2]) == 0
    assert holm_bonferroni([0.01, None, 0.04, 0.03]) == [
        pytest.approx(0.03),
        None,
        pytest.approx(0.06),
        pytest.approx(0.06),
    ]


def test_the_wilson_interval_has_its_nominal_coverage() -> None:
    n, shares = 40, []
    for truth in (percent / 100 for percent in range(2, 99)):
        probabilities = {wins: comb(n, wins) * truth**wins * (1 - truth) ** (n - wins) for wins in range(n + 1)}
        shares.append(
            sum(
                p
                for wins, p in probabilities.items()
                if wilson_interval(wins, n)[0] <= truth <= wilson_interval(wins, n)[1]
            )
        )
    assert sum(shares) / len(shares) == pytest.approx(0.95, abs=0.01) and min(shares) > 0.88
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # statsmodels' proportion_confint
    assert wilson_interval(0, 5)[0] == pytest.approx(0) and wilson_interval(5, 5)[1] == pytest.approx(1)


def test_bradley_terry_recovers_the_strengths_behind_the_votes() -> None:
    power = [4.0, 2.0, 1.0]
    wins = [[0 if one == other else 1000 * p / (p + q) for other, q in enumerate(power)] for one, p in enumerate(power)]
    found = bradley_terry(wins)
    odds = [share / (1 - share) for share in found if share is not None]
    assert [each / odds[2] for each in odds] == pytest.approx(power, rel=0.01)
    assert bradley_terry([[0, 3, 0], [0, 0, 0], [0, 0, 0]])[2] is None
