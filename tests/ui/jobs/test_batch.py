"""Which pictures a batch on the page is made of."""

import pytest

from hpinet.ui.jobs.batch import names_in_folder


@pytest.mark.parametrize(
    ("names", "told", "expected"),
    [
        (["a.png"], ["trip/a.png"], ["trip/a.png"]),
        (["a.png", "a.png"], ["trip/1/a.png", "trip/2/a.png"], ["trip/1/a.png", "trip/2/a.png"]),
        (["b.png"], ["trip/a.png", "trip/b.png"], ["trip/b.png"]),  # one was taken off the list
        (["a.png", "b.png"], ["trip/b.png"], ["a.png", "trip/b.png"]),
        (["a.png"], [], ["a.png"]),
        (["a.png"], None, ["a.png"]),
        (["a.png"], {"a.png": "trip/a.png"}, ["a.png"]),
        (["a.png"], [7, None, "../a.png", "/etc/a.png", "C:/a.png"], ["a.png"]),
    ],
)
def test_files_of_a_folder_get_their_folders_back(names: list[str], told: object, expected: list[str]) -> None:
    assert names_in_folder(names, told) == expected
