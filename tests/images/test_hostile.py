"""Files cut, flipped and stuffed: none makes a foreign error, takes long or much memory."""

import pytest

from scripts import hostile


def test_all_specimens_open() -> None:
    assert {name: hostile.judge(data).kind for name, data in hostile.specimens().items()} == dict.fromkeys(
        hostile.specimens(), "opened"
    )


@pytest.mark.slow
def test_damaged_files(capsys: pytest.CaptureFixture[str]) -> None:
    counts, wrong, slowest, peak = hostile.run(40)
    opened, refused = (sum(counts[key] for key in counts if key[1] == kind) for kind in ("opened", "refused"))
    with capsys.disabled():
        print(
            f"\nDamaged files: {opened} opened, {refused} refused, {len(wrong)} wrong; {slowest:.1f} s, {peak:.0f} MB"
        )
    assert wrong == []
    assert opened > 100
    assert refused > 100
