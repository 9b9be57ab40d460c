"""Of all tests of pictures."""

import gc
import warnings

import pytest


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_over():
    """Each page that Gradio makes leaves event loops open. Collected below, those of other tests would count here."""
    gc.collect()


@pytest.fixture(autouse=True)
def _no_warnings():
    """Reading and writing pictures warns about nothing, whatever they contain."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
