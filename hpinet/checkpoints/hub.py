"""Checkpoints in repositories of the Hugging Face Hub. They are kept in the Hub's own cache (`HF_HOME`)."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
from huggingface_hub import (
    CommitOperationAdd,
    HfApi,
    HfFileMetadata,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id
from tqdm import tqdm

from hpinet import wording
from hpinet.checkpoints.download import LARGEST, Digest
from hpinet.checkpoints.files import CARD, CONFIG, WEIGHTS, read_config, read_model
from hpinet.checkpoints.levels import TREATMENT, read_levels
from hpinet.errors import CheckpointError, HPINetError
from hpinet.progress import Progress, ignore

_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_repository_id(text: str) -> bool:
    """Whether this can be the name of a repository."""
    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def cached_repository(repository: str, revision: str | None = None) -> Path | None:
    """The folder of a repository's checkpoint as last fetched at this revision; None if it never was."""
    config, weights = (try_to_load_from_cache(repository, name, revision=revision) for name in (CONFIG, WEIGHTS))
    return Path(weights).parent if isinstance(config, str) and isinstance(weights, str) else None


def whole_repository(repository: str, revision: str | None = None) -> Path | None:
    """The same, if its levels were fetched too or it is known to have none: other tools fetch weights alone."""
    folder = cached_repository(repository, revision)
    treatment = try_to_load_from_cache(repository, TREATMENT, revision=revision)
    if folder is None or treatment is None:
        return None
    levels = read_levels(folder)
    are_here = all((folder / level / WEIGHTS).is_file() for level in (levels.names if levels else ()))
    return folder if are_here else None


def fetch_repository(repository: str, revision: str | None = None, *, progress: Progress = ignore) -> Path:
    """Fetches the checkpoint in a repository, unless it is here, and verifies it; returns its folder.

    Args:
        repository: "owner/name".
        revision: A full commit, which is looked up once and never changes; or a branch or tag, by default the main one.
        progress: Called with bytes done and all bytes of the weights.

    Raises:
        CheckpointError: offline, no such repository, revision or file, refused, of another network, too large, or
            damaged.
    """
    pinned = revision is not None and _COMMIT.fullmatch(revision)
    if pinned and (folder := whole_repository(repository, revision)):
        return folder
    where = f"{repository}@{revision}" if revision else repository
    try:
        return _fetch(repository, revision, progress)
    except RepositoryNotFoundError as error:
        raise CheckpointError(f"The Hub has no repository {repository} that you may read.") from error
    except RevisionNotFoundError as error:
        raise CheckpointError(f"{repository} has no revision {revision}.") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, HfHubHTTPError, httpx2.TransportError) as error:
        refusal = error if isinstance(error, HfHubHTTPError) else error.__cause__  # the client wraps some of them
        if isinstance(refusal, EntryNotFoundError):
            raise CheckpointError(f"{where} is not a checkpoint of HPINet: it needs {CONFIG} and {WEIGHTS}.") from error
        if isinstance(refusal, HfHubHTTPError):
            raise CheckpointError(f"The Hub does not give {where}: {refusal.response.status_code}.") from error
        raise CheckpointError(f"Cannot reach the Hub for {where}: go online, or use a bundled model.") from error
    except OSError as error:
        raise CheckpointError(f"{where} cannot be fetched: {error}.") from error


def publish_folder(folder: Path, repository: str, *, private: bool = False) -> str:
    """Puts a checkpoint with its card in a repository, which is made where missing; returns its address.

    Args:
        folder: With configuration, weights and card; other files that a training run left beside them go along, and
            so do its levels.
        repository: "owner/name".
        private: Of a new repository.

    Raises:
        CheckpointError: this is no whole checkpoint, or the Hub refuses it.
    """
    if not (folder / CARD).is_file():
        raise CheckpointError(f"{folder} has no {CARD}: a checkpoint is published with its card.")
    levels = read_levels(folder)
    folders = [folder, *(folder / name for name in (levels.names if levels else ()))]
    for each in folders:
        read_model(each)
    files = [path for each in folders for path in sorted(each.iterdir()) if path.is_file() and path.name[0] != "."]
    hub = HfApi()
    with hub_errors(repository, CheckpointError):
        address = hub.create_repo(repository, private=private or None, exist_ok=True)
        additions = [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files]
        hub.create_commit(repository, additions, commit_message="Publish weights")
    return str(address)


@contextmanager
def hub_errors(name: str, kind: type[HPINetError]) -> Iterator[None]:
    """Turns what the Hub's client raises while ``name``, "owner/name", is written into one sentence of a ``kind``."""
    try:
        yield
    except HFValidationError as error:
        raise kind(f"{name!r} is no name on the Hub: owner/name is.") from error
    except HfHubHTTPError as error:
        if error.response.status_code == httpx2.codes.UNAUTHORIZED:
            raise kind("The Hub does not know you: `hf auth login` first, or set HF_TOKEN.") from error
        raise kind(f"The Hub refuses {name}: {error.server_message or error.response.status_code}.") from error
    except httpx2.TransportError as error:
        raise kind(f"Cannot reach the Hub for {name}: go online, and try again.") from error


def _fetch(repository: str, revision: str | None, progress: Progress) -> Path:
    # All files are of one commit, whatever happens to the branch meanwhile.
    commit = _facts(repository, CONFIG, revision).commit_hash
    if commit is None:
        raise CheckpointError(f"{repository} cannot be fetched: the server names no commit, as the Hub does.")
    folder = Path(hf_hub_download(repository, CONFIG, revision=commit)).parent
    read_config(folder)  # before anything large: hardly any repository of the Hub holds an HPINet
    size = _facts(repository, WEIGHTS, commit).size or 0
    progress(0, size)
    with suppress(RemoteEntryNotFoundError):  # a card is optional
        _fetch_file(repository, CARD, commit)
    with suppress(RemoteEntryNotFoundError):  # and so are levels, which come first: weights say that all is here
        _fetch_file(repository, TREATMENT, commit)
    levels = read_levels(folder)
    for level in levels.names if levels else ():
        read_config(_fetch_file(repository, f"{level}/{CONFIG}", commit).parent)
        _fetch_weights(repository, f"{level}/{WEIGHTS}", commit)
    _fetch_weights(repository, WEIGHTS, commit, progress)
    progress(size, size)
    # What is found under the branch's name from now on; until here, that was what had been fetched before.
    latest = Path(hf_hub_download(repository, CONFIG, revision=revision)).parent
    return folder if latest == folder else _fetch(repository, revision, progress)


def _facts(repository: str, name: str, revision: str | None) -> HfFileMetadata:
    """What the Hub says of a file. Raises CheckpointError if it is larger than any of ours."""
    facts = get_hf_file_metadata(hf_hub_url(repository, name, revision=revision))
    if facts.size and facts.size > LARGEST:
        sizes = f"{wording.megabytes(facts.size)}, and no file of an HPINet has more than {wording.megabytes(LARGEST)}"
        raise CheckpointError(f"{name} of {repository} is not fetched: it has {sizes}.")
    return facts


def _fetch_file(repository: str, name: str, commit: str) -> Path:
    _facts(repository, name, commit)
    return Path(hf_hub_download(repository, name, revision=commit))


def _fetch_weights(repository: str, name: str, commit: str, progress: Progress = ignore) -> None:
    etag = _facts(repository, name, commit).etag
    weights = Path(hf_hub_download(repository, name, revision=commit, tqdm_class=_reporting(progress)))
    if etag and not _verified(weights, etag):
        weights.resolve().unlink()
        weights.unlink(missing_ok=True)
        raise CheckpointError(f"{name} of {repository} arrived damaged: fetch it again.")


def _verified(weights: Path, etag: str) -> bool:
    """Whether a file is what the Hub says: it names large files by SHA-256 and others by their git blob."""
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        return Digest("sha256", etag).matches(weights)
    return Digest("git-blob", etag).matches(weights)


def _reporting(progress: Progress) -> type[tqdm]:
    """A progress bar that draws nothing and calls ``progress``."""

    class Reporting(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "file": io.StringIO()})

        def update(self, n: float | None = 1) -> bool | None:
            displayed = super().update(n)
            if self.total:
                progress(int(min(self.n, self.total)), int(self.total))
            return displayed

    return Reporting
