"""Deploying the page as a Hugging Face Space: what is uploaded, whether its card is right, whether it then works."""

import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, SpaceHardware, SpaceStage, metadata_load

from hpinet.checkpoints.hub import hub_errors
from hpinet.errors import HPINetError, OptionError

ROOT = Path(__file__).parents[1]
MAX_BYTES = 10_000_000
"""Of everything together: a Space needs no file of a size that the Hub keeps apart."""

HARDWARE = tuple(kind.value for kind in SpaceHardware)
PYTHONS = ("3.10", "3.12")  # what the Hub builds with (its documentation, 2026-08)
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
STARTUP_SECONDS = 30 * 60.0
_POLL_SECONDS = 2.0
_SETTLE_SECONDS = 60.0  # how long after an upload the Hub may still tell what had failed before
_FAILED = {SpaceStage.CONFIG_ERROR, SpaceStage.BUILD_ERROR, SpaceStage.RUNTIME_ERROR, SpaceStage.PAUSED}
_KEPT = ".gitattributes"  # the Hub's own, in every repository


class DeployError(HPINetError):
    """The Space cannot be deployed, or does not work."""


@dataclass(frozen=True)
class Upload:
    """What a Space needs: paths within the repository, and their bytes."""

    root: Path
    paths: tuple[str, ...]

    @property
    def total_bytes(self) -> int:
        """Of all files together."""
        return sum((self.root / path).stat().st_size for path in self.paths)


def prepare(root: Path = ROOT) -> Upload:
    """The files of a clone that a Space needs, none else, with the card checked. They are taken as they are on disk.

    Raises DeployError: no clone, something is missing or too much, or what is wrong with the card.
    """
    if not (root / "app.py").is_file():
        raise DeployError("Deploy from a clone of the project: an installed package lacks app.py and the card.")
    pages = ("README.md", "CONTRIBUTING.md")
    written = "".join((root / page).read_text("utf-8") for page in pages if (root / page).is_file())
    linked = re.findall(r"\]\((docs/[^)]+)\)", written)
    inner = [path for path in _project_files(root) if path.startswith(("hpinet/", "checkpoints/", "examples/"))]
    texts = (*pages, "LICENSE", "THIRD-PARTY.md")
    upload = Upload(root, ("app.py", *texts, "requirements.txt", *dict.fromkeys(linked), *inner))
    if absent := [path for path in upload.paths if not (root / path).is_file()]:
        raise DeployError(f"The Space needs {', '.join(absent)}, which is not there.")
    if upload.total_bytes > MAX_BYTES:
        raise DeployError(f"These files are {upload.total_bytes / 1e6:.1f} MB; a Space gets at most 10.")
    if complaints := complaints_about(root):
        raise DeployError(f"The card in README.md: {'; '.join(complaints)}.")
    return upload


def _project_files(root: Path) -> list[str]:
    """What git knows of, so that runs and notes lying about stay here; or all of a source archive, without caches."""
    if not (root / ".git").exists():
        found = (path.relative_to(root) for path in sorted(root.rglob("*")) if path.is_file())
        return [path.as_posix() for path in found if not any(part.startswith((".", "__py")) for part in path.parts)]
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        told = getattr(error, "stderr", "").strip() or error
        raise DeployError(f"git does not tell which files belong to the project: {told}") from error
    return listed.rstrip("\0").split("\0")


def complaints_about(root: Path = ROOT) -> list[str]:
    """What the Hub would refuse or misread in the card of a Space."""
    fields = metadata_load(root / "README.md") or {}
    python = fields.get("python_version")
    sdk = fields.get("sdk_version", "")
    checks = {
        "sdk must be gradio": fields.get("sdk") == "gradio",
        "sdk_version must be a release such as 6.31.0": bool(re.fullmatch(r"\d+\.\d+\.\d+", str(sdk))),
        f"python_version must be one of {', '.join(PYTHONS)}, in quotes, not {python}": python in PYTHONS,
        "app_file must name a file": (root / str(fields.get("app_file"))).is_file(),
        "short_description must have 1 to 60 characters": 0 < len(fields.get("short_description", "")) <= 60,
        f"colours must be of {', '.join(COLOURS)}": {fields.get("colorFrom"), fields.get("colorTo")} <= {*COLOURS},
        f"suggested_hardware must be one of {', '.join(HARDWARE)}": fields.get("suggested_hardware") in HARDWARE,
        "title and license must be there": bool(fields.get("title") and fields.get("license")),
    }
    return [complaint for complaint, fine in checks.items() if not fine]


def deploy(
    space: str,
    upload: Upload,
    *,
    hardware: str | None = None,
    private: bool = False,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Makes or updates a Space, waits until it runs, and has it enlarge a picture; returns its address.

    The files are one commit, in which whatever the Space had besides goes.

    Args:
        space: "owner/name".
        upload: From `prepare`.
        hardware: One of `HARDWARE`; by default what the Space has, which is cpu-basic for a new one.
        private: Of a new Space.
        variables: Of its environment, to set or change; others that it has stay.

    Raises:
        OptionError: there is no such hardware.
        DeployError: the Hub refuses, the Space does not start, or it does not enlarge.
    """
    if hardware is not None and hardware not in HARDWARE:
        raise OptionError(f"The hardware must be one of {', '.join(HARDWARE)}, not {hardware!r}.")
    hub = HfApi()
    with hub_errors(space, DeployError):
        address = hub.create_repo(space, repo_type="space", space_sdk="gradio", private=private or None, exist_ok=True)
        if hardware is not None:
            hub.request_space_hardware(space, SpaceHardware(hardware))
        for name, value in (variables or {}).items():
            hub.add_space_variable(space, name, value)
        surplus = set(hub.list_repo_files(space, repo_type="space")) - {*upload.paths, _KEPT}
        commit = hub.create_commit(
            space,
            [CommitOperationAdd(path, upload.root / path) for path in upload.paths]
            + [CommitOperationDelete(path) for path in sorted(surplus)],
            commit_message="Deploy",
            repo_type="space",
        )
        _wait(hub, space, commit.oid)
    _smoke_test(space, upload.root / "examples" / "badge.png")
    return str(address)


def _wait(hub: HfApi, space: str, commit: str) -> None:
    """Until the Space runs this commit. For a while the Hub still speaks of the one before, or says there is none."""
    began = time.monotonic()
    stage = None
    while (waited := time.monotonic() - began) < STARTUP_SECONDS:
        runtime = hub.get_space_runtime(space)
        stage, is_new = runtime.stage, runtime.raw.get("sha", commit) == commit
        if stage == SpaceStage.RUNNING and is_new:
            return
        if stage in _FAILED and (is_new or waited > _SETTLE_SECONDS):
            told = runtime.raw.get("errorMessage") or "see its log on the Hub"
            raise DeployError(f"{space} does not start ({stage}): {told}.")
        time.sleep(_POLL_SECONDS)
    raise DeployError(f"{space} is not running after {STARTUP_SECONDS / 60:.0f} minutes ({stage}): see its log.")


def _smoke_test(space: str, picture: Path) -> None:
    from gradio_client import Client, handle_file  # noqa: PLC0415 (slow to come)
    from PIL import Image  # noqa: PLC0415

    try:
        client = Client(space, verbose=False)
        larger = client.predict(handle_file(picture), model="T", scale=2, api_name="/upscale")
        with Image.open(larger) as result, Image.open(picture) as source:
            sizes = result.size, (2 * source.width, 2 * source.height)
    except Exception as error:  # whatever it is, the Space runs and does not work
        raise DeployError(f"{space} runs, but does not enlarge a picture: {error}") from error
    if sizes[0] != sizes[1]:
        raise DeployError(f"{space} runs, but made {sizes[0]} pixels of a picture where {sizes[1]} were asked for.")
