"""One file over HTTP: resumed when the connection drops, verified, and never half-written where others look."""

import hashlib
import math
import re
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import httpx2

from hpinet.errors import CheckpointError
from hpinet.progress import Progress, ignore
from hpinet.version import __version__

LARGEST = 64 * 2**20
"""Bytes that no file of ours comes near; stops a server that never ends."""

HEADERS = {"User-Agent": f"hpinet/{__version__}", "Accept-Encoding": "identity"}  # ranges count unencoded bytes


@dataclass(frozen=True)
class Digest:
    """What the content of a file must hash to."""

    algorithm: Literal["sha256", "git-blob"]
    value: str  # hexadecimal

    def matches(self, path: Path) -> bool:
        """Whether the file has this digest. It is read piece by piece."""
        header = b"blob %d\0" % path.stat().st_size
        git_blob = partial(hashlib.sha1, header, usedforsecurity=False)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, hashlib.sha256 if self.algorithm == "sha256" else git_blob)
        return digest.hexdigest() == self.value


def download(
    url: str,
    target: Path,
    digest: Digest,
    *,
    size: int,
    progress: Progress = ignore,
    timeout: float = 20.0,
    attempts: int = 5,
    pause: float = 0.5,
    patience: float = math.inf,
) -> None:
    """Fetches ``url`` into the file ``target``, which appears complete and verified or not at all.

    Bytes gather in ``<target>.part``; a dropped connection, and a later call, continue there. The caller sees to it
    that nobody else fetches the same target at the same time.

    Args:
        url: http or https address; redirects and the usual proxy variables are followed.
        target: Its folder is created.
        digest: Of the complete content.
        size: Bytes expected, for ``progress`` alone; an estimate will do.
        progress: Called with bytes done and ``size``; may raise Cancelled.
        timeout: Seconds without a byte after which a connection counts as dropped.
        attempts: Connections made before giving up.
        pause: Seconds before the second attempt, doubled before each one after it.
        patience: Seconds after which it gives up, however the server behaves; what arrived is kept.

    Raises:
        CheckpointError: offline, not found, refused, damaged, too large, given up, or the folder cannot be written.
    """
    host = _host(url)
    ends = time.monotonic() + patience

    def heed(done: int, size: int) -> None:
        progress(done, size)
        if time.monotonic() > ends:
            raise CheckpointError(f"{host} takes too long: try again later, what arrived is kept.")

    part = target.with_name(target.name + ".part")
    progress(0, size)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _client(min(timeout, patience)) as client:
            failure = None
            for attempt in range(attempts):
                heed(part.stat().st_size if part.exists() else 0, size)
                if attempt:
                    time.sleep(pause * 2 ** (attempt - 1))
                resumes = part.exists()
                try:
                    _receive(client, url, part, size=size, progress=heed)
                except httpx2.HTTPError as error:
                    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) and failure is None:
                        advice = f"go online, or name a mirror in HPINET_AUTHORS_URL ({_reason(error)})"
                        raise CheckpointError(f"Cannot reach {host}: {advice}.") from error
                    failure = error
                    continue
                if digest.matches(part):
                    part.replace(target)
                    progress(size, size)
                    return
                part.unlink()
                if not resumes:  # else its halves may be of different files: once more from the start
                    raise CheckpointError(f"{url} is damaged: its checksum is not the expected one.")
    except OSError as error:
        raise CheckpointError(f"Cannot write {target}: {error.strerror}. HPINET_CACHE names another place.") from error
    raise CheckpointError(f"{host} failed {attempts} times ({failure}): try again later, what arrived is kept.")


def _client(timeout: float) -> httpx2.Client:
    """Of HTTP, by the usual variables for proxies and certificates. Raises CheckpointError if these cannot be used."""
    try:
        return httpx2.Client(timeout=timeout, follow_redirects=True, headers=HEADERS)
    except (ImportError, ValueError, OSError) as error:
        raise CheckpointError(f"The settings of proxy or certificates cannot be used ({error}).") from error


def _host(url: str) -> str:
    try:
        address = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise CheckpointError(f"{url} is not an address ({error}).") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise CheckpointError(f"{url} is not an http or https address.")
    return address.host


def _receive(client: httpx2.Client, url: str, part: Path, *, size: int, progress: Progress) -> None:
    """One connection: completes ``part``. Raises httpx2.HTTPError where another attempt makes sense."""
    done = part.stat().st_size if part.exists() else 0
    with client.stream("GET", url, headers={"Range": f"bytes={done}-"} if done else {}) as response:
        status = response.status_code
        if status == httpx2.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise httpx2.RemoteProtocolError(f"{status} {response.reason_phrase}", request=response.request)
        continues = status == httpx2.codes.PARTIAL_CONTENT and _first_byte(response) == done
        beyond = status == httpx2.codes.REQUESTED_RANGE_NOT_SATISFIABLE
        if done and (beyond or (status == httpx2.codes.PARTIAL_CONTENT and not continues)):
            return  # there is no more, or not of this file: the digest tells which
        if not response.is_success:
            raise CheckpointError(f"{url} cannot be fetched: {status} {response.reason_phrase}.")
        if not continues:
            done = 0  # a server without ranges sends everything again
        with part.open("ab" if continues else "wb") as file:
            for chunk in response.iter_bytes():
                done += len(chunk)
                if done > LARGEST:
                    file.truncate(0)
                    raise CheckpointError(f"{url} is not the expected file: it is too large.")
                file.write(chunk)
                progress(min(done, size), size)


def _first_byte(response: httpx2.Response) -> int | None:
    """Where the range sent begins, by a header like ``Content-Range: bytes 500-999/1000``."""
    unit, _, numbers = response.headers.get("Content-Range", "").partition(" ")
    first = numbers.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdecimal() else None


def _reason(error: Exception) -> str:
    """What the system says, without its number."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error))
