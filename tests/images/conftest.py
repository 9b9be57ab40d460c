"""Of all tests of pictures."""

import warnings

import pytest


@pytest.fixture(autouse=True)
def _no_warnings():
    """Reading and writing pictures warns about nothing, whatever they contain."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
