"""Learning rate schedules against their formulas."""

import pytest

from stylegan_lab.models.lr_schedules import ConstantLR, ExponentialLR, InverseTimeLR, LinearDecayLR


def test_factors_are_those_of_the_formulas() -> None:
    progress = [0.0, 0.25, 0.5, 0.75, 1.0]
    expected = {
        ConstantLR(): [1, 1, 1, 1, 1],
        LinearDecayLR(constant=0.5): [1, 1, 1, 0.5, 0],
        LinearDecayLR(constant=0.0): [1, 0.75, 0.5, 0.25, 0],
        LinearDecayLR(constant=1.0): [1, 1, 1, 1, 1],
        InverseTimeLR(decay=8.0): [1, 1 / 3, 1 / 5, 1 / 7, 1 / 9],
        ExponentialLR(final_factor=1e-4): [1, 1e-1, 1e-2, 1e-3, 1e-4],
    }
    for schedule, factors in expected.items():
        assert [schedule(each) for each in progress] == pytest.approx(factors), type(schedule).__name__
    assert LinearDecayLR(constant=0.5)(1.5) == 0, "a training that is continued beyond its end"
