"""Asserting that something is refused: by the code of the error and the settings or files that it names."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stylegan_lab.errors import UserError


@contextmanager
def refused(code: str, *named: str) -> "Iterator[pytest.ExceptionInfo[UserError]]":
    """The block must raise a UserError with this code, whose message contains each of `named`."""
    with pytest.raises(UserError) as error:
        yield error
    assert error.value.code == code, error.value.with_code()
    assert_names(str(error.value), *named)


def assert_refused(output: str, code: str, *named: str) -> None:
    """The output of a command must end in the error with this code, which names each of `named`."""
    assert f"[{code}]" in output, output
    assert_names(output, *named)


def assert_names(message: str, *named: str) -> None:
    for each in named:
        assert each in message, message
