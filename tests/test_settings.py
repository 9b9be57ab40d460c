"""Settings: defaults, environment variables, and what is said of values that make no sense."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from platformdirs import user_cache_path

from hpinet.errors import OptionError
from hpinet.settings import AUTHORS_COMMIT, AUTHORS_URL, Settings, settings

VARIABLES = [f"HPINET_{field.name.upper()}" for field in fields(Settings)]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


def test_defaults() -> None:
    assert settings() == Settings(
        cache=user_cache_path("hpinet"),
        authors_url=AUTHORS_URL,
        engine="auto",
        device="auto",
        memory_mb=256,
        threads=0,
        max_megapixels=52,
        max_upload_mb=64,
        max_result_megapixels=210,
        batch_files=500,
        keep_hours=3,
        keep_mb=10_000,
        max_seconds=3600,
        job_mb=0,
        jobs_mb=4000,
        jobs=48,
        jobs_per_session=4,
        jobs_per_address=20,
        metrics="off",
    )
    assert AUTHORS_COMMIT in AUTHORS_URL


def test_every_field_has_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [
        "/somewhere",
        "http://mirror.example/folder/",
        "torch",
        "cuda:1",
        "512",
        "3",
        "1.5",
        "20",
        "40",
        "12",
        "0.5",
        "700",
        "90",
        "800",
        "1000",
        "30",
        "2",
        "5",
        "on",
    ]
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    assert settings() == Settings(
        cache=Path("/somewhere"),
        authors_url="http://mirror.example/folder",
        engine="torch",
        device="cuda:1",
        memory_mb=512,
        threads=3,
        max_megapixels=1.5,
        max_upload_mb=20,
        max_result_megapixels=40,
        batch_files=12,
        keep_hours=0.5,
        keep_mb=700,
        max_seconds=90,
        job_mb=800,
        jobs_mb=1000,
        jobs=30,
        jobs_per_session=2,
        jobs_per_address=5,
        metrics="on",
    )


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_is_no_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = settings()
    monkeypatch.setenv(name, "")
    settings.cache_clear()
    assert settings() == expected


def test_home_folders_are_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPINET_CACHE", "~/weights")
    assert settings().cache == Path.home() / "weights"


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = settings()
    monkeypatch.setenv("HPINET_ENGINE", "torch")
    assert settings() is first


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("HPINET_ENGINE", ["onnx", "Torch", "torch openvino"]),
        ("HPINET_MEMORY_MB", ["15", "0", "-1", "much", "nan", "inf", "1 000", "0x100"]),
        ("HPINET_THREADS", ["-1", "all", "nan", "inf"]),
        ("HPINET_MAX_MEGAPIXELS", ["-1", "many", "nan", "inf"]),
        ("HPINET_MAX_UPLOAD_MB", ["0", "-3", "0.5", "12MB"]),
    ],
)
def test_values_that_make_no_sense_are_named(name: str, values: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for value in values:
        monkeypatch.setenv(name, value)
        settings.cache_clear()
        with pytest.raises(OptionError, match=name) as caught:
            settings()
        assert repr(value) in str(caught.value)
