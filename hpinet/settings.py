"""Settings from the environment (`HPINET_*`), read once. The README's table documents each field."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from platformdirs import user_cache_path

from hpinet.errors import OptionError

AUTHORS_COMMIT = "25d5db1422df50b1671aae6f6ec3a2953fa352c5"
AUTHORS_URL = f"https://raw.githubusercontent.com/passerer/HPINet/{AUTHORS_COMMIT}/checkpoints"


EngineName = Literal["auto", "torch", "openvino"]
"""What runs the networks, see `hpinet.engines.create_engine`."""
ENGINES: tuple[str, ...] = get_args(EngineName)


@dataclass(frozen=True)
class Settings:
    """Every setting of the package. Command line options and arguments override them."""

    cache: Path  # HPINET_CACHE: fetched weights and compiled models
    authors_url: str  # HPINET_AUTHORS_URL: folder that serves the authors' HPINet-*.pth files (a mirror, say)
    engine: str  # HPINET_ENGINE: one of `ENGINES`
    device: str  # HPINET_DEVICE: auto, cpu, cuda or cuda:N
    memory_mb: int  # HPINET_MEMORY_MB: working set of the engines beyond the feature maps of the whole picture
    threads: int  # HPINET_THREADS: CPU threads; 0 takes what the process may use
    max_megapixels: float  # HPINET_MAX_MEGAPIXELS: largest input picture
    max_upload_mb: int  # HPINET_MAX_UPLOAD_MB: largest input file
    max_result_megapixels: float  # HPINET_MAX_RESULT_MEGAPIXELS: largest result of the page and its endpoints
    batch_files: int  # HPINET_BATCH_FILES: most pictures of a batch
    keep_hours: float  # HPINET_KEEP_HOURS: how long uploads and results lie
    keep_mb: int  # HPINET_KEEP_MB: how much of them lies at most, the oldest going first
    max_seconds: float  # HPINET_MAX_SECONDS: longest job of the page and its endpoints, as expected on this machine
    job_mb: int  # HPINET_JOB_MB: memory of the page's largest job; 0: three quarters of what there is
    jobs_mb: int  # HPINET_JOBS_MB: memory of the jobs that the page has under way at once
    jobs: int  # HPINET_JOBS: of all visitors, waiting and under way
    jobs_per_session: int  # HPINET_JOBS_PER_SESSION: of one visitor, waiting and under way
    jobs_per_address: int  # HPINET_JOBS_PER_ADDRESS: the same of all visitors behind one address
    metrics: str  # HPINET_METRICS: "on" serves figures for Prometheus at /metrics


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process. Raises OptionError naming a variable that has no usable value."""
    return Settings(
        cache=_folder("HPINET_CACHE", user_cache_path("hpinet")),
        authors_url=(os.environ.get("HPINET_AUTHORS_URL") or AUTHORS_URL).rstrip("/"),
        engine=_choice("HPINET_ENGINE", ENGINES),
        device=os.environ.get("HPINET_DEVICE") or "auto",
        memory_mb=int(_number("HPINET_MEMORY_MB", 256, least=16)),
        threads=int(_number("HPINET_THREADS", 0)),
        max_megapixels=_number("HPINET_MAX_MEGAPIXELS", 52),
        max_upload_mb=int(_number("HPINET_MAX_UPLOAD_MB", 64, least=1)),
        max_result_megapixels=_number("HPINET_MAX_RESULT_MEGAPIXELS", 210),
        batch_files=int(_number("HPINET_BATCH_FILES", 500, least=1)),
        keep_hours=_number("HPINET_KEEP_HOURS", 3),
        keep_mb=int(_number("HPINET_KEEP_MB", 10_000, least=1)),
        max_seconds=_number("HPINET_MAX_SECONDS", 3600, least=1),
        job_mb=int(_number("HPINET_JOB_MB", 0)),
        jobs_mb=int(_number("HPINET_JOBS_MB", 4000, least=64)),
        jobs=int(_number("HPINET_JOBS", 48, least=1)),
        jobs_per_session=int(_number("HPINET_JOBS_PER_SESSION", 4, least=1)),
        jobs_per_address=int(_number("HPINET_JOBS_PER_ADDRESS", 20, least=1)),
        metrics=_choice("HPINET_METRICS", ("off", "on")),
    )


def _folder(name: str, default: Path) -> Path:
    try:
        return Path(os.environ.get(name) or default).expanduser()
    except RuntimeError as error:
        raise OptionError(
            f"{name} must be a folder, and {os.environ[name]!r} is in the home of nobody here."
        ) from error


def _number(name: str, default: float, *, least: float = 0) -> float:
    text = os.environ.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value < float("inf"):
        raise OptionError(f"{name} must be a number of at least {least:g}, not {text!r}.")
    return value


def _choice(name: str, choices: tuple[str, ...]) -> str:
    value = os.environ.get(name) or choices[0]
    if value not in choices:
        raise OptionError(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value
