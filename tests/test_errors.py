"""Errors of users: several become one that names each."""

from stylegan_lab.errors import UserError, join_errors
from tests.refusals import assert_refused

MISSING = UserError("image.not_found", "in/a.png does not exist")
DAMAGED = UserError("image.truncated", "in/b.png is cut off")


def test_joined_errors_show_the_message_and_code_of_each() -> None:
    joined = join_errors([MISSING, DAMAGED], "translate.several_failed")
    assert joined.code == "translate.several_failed"
    lines = joined.with_code().splitlines()
    for line, error in zip(lines, (MISSING, DAMAGED), strict=True):
        assert_refused(line, error.code, str(error))
    assert_refused(lines[-1], "translate.several_failed")


def test_a_single_error_keeps_its_own_code() -> None:
    assert join_errors([DAMAGED], "translate.several_failed") is DAMAGED
