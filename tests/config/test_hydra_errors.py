"""Hydra's errors that have no message of their own."""

from hydra.errors import ConfigCompositionException

from stylegan_lab.config.hydra_errors import to_user_error


def test_an_unknown_error_is_answered_with_its_first_paragraph() -> None:
    error = to_user_error(ConfigCompositionException("something  is\nodd\n\nfull_key: x"), ["~callbacks.samples"])
    assert (error.code, str(error)) == ("config.composition_failed", "something is odd")
