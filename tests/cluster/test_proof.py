"""The proof of what archives and a page must hold on a cluster, in its short version, as the command that prints it."""

import pytest

from scripts.prove_cluster import PROOFS, proved

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("name", PROOFS)
@pytest.mark.usefixtures("ray_is_here")
def test_nothing_is_lost_and_nothing_twice(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_THREADS", "1")
    row = proved(name, short=True)
    assert row.is_right, row
