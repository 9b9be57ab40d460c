"""A stand-in of the Hugging Face Hub on loopback."""

import base64
import hashlib
import json
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar

from hpinet.checkpoints.files import WEIGHTS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """What the client asks for: HEAD and GET of /owner/name/resolve/revision/file, and what it takes to upload.

    Large files come by the LFS protocol, as weights and pictures do; hence `HF_HUB_DISABLE_XET` in the client.
    """

    repositories: dict[str, dict[str, bytes]]
    uploads: dict[str, bytes]  # LFS objects by SHA-256
    told: list[tuple[str, Any]]  # path and body of each request that changes something
    stages: list[dict[str, Any]]  # of a Space, one a look; the last one stays
    host: str = ""  # where a Space is served
    announced: dict[bytes, str]  # ETag of a content, where it is not its own hash
    commits: ClassVar[dict[str, str]] = {}  # of repositories' main branches, where it is not `COMMIT`

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not path.startswith("/api/"):
            self.answer(with_body=True)
        elif self.is_stranger():
            self.json({"error": "Invalid username or password."}, 401)
        elif path.endswith("/runtime"):
            stage = self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]
            self.json({"sha": COMMIT, **stage})
        elif "/tree/" in path:
            files = self.repositories[self.named(path)]
            self.json([{"type": "file", "path": name, "size": len(data), "oid": ""} for name, data in files.items()])
        else:
            name = self.named(path)
            self.json({"_id": "0", "id": name, "sha": COMMIT, "private": False, "tags": [], "host": self.host})

    def do_PUT(self) -> None:
        data = self.body()
        assert hashlib.sha256(data).hexdigest() == self.path.rpartition("/")[2]
        self.uploads[self.path.rpartition("/")[2]] = data
        self.json({})

    def do_POST(self) -> None:
        path, body = self.path.partition("?")[0], self.body()
        if self.is_stranger():
            self.json({"error": "Invalid username or password."}, 401)
        elif path.endswith("/commit/main"):
            self.commit(self.named(path), [json.loads(line) for line in body.splitlines()])
        else:
            self.changed(path, json.loads(body))

    def changed(self, path: str, body: dict[str, Any]) -> None:
        self.told.append((path, body))
        if path == "/api/repos/create":
            name = f"{body['organization']}/{body['name']}"
            self.repositories.setdefault(name, {".gitattributes": b"", "old.txt": b"old"})
            kind = "spaces/" if body.get("type") == "space" else ""
            self.json({"url": f"http://{self.headers['Host']}/{kind}{name}"})
        elif path.endswith("/preupload/main"):
            modes = [(file["path"], file["path"].endswith((".png", ".safetensors"))) for file in body["files"]]
            files = [
                {"path": n, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False} for n, large in modes
            ]
            self.json({"files": files})
        elif path.endswith("/objects/batch"):
            base = f"http://{self.headers['Host']}/lfs"
            objects = [{**o, "actions": {"upload": {"href": f"{base}/{o['oid']}"}}} for o in body["objects"]]
            self.json({"transfer": "basic", "objects": objects})
        else:  # hardware, variables
            self.json({"stage": "BUILDING"} if path.endswith("/hardware") else {})

    def commit(self, name: str, lines: list[dict[str, Any]]) -> None:
        files = self.repositories[name]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.uploads[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        self.told.append(("commit", name))
        self.json({"commitUrl": f"http://{self.headers['Host']}/{name}/commit/{COMMIT}", "commitOid": COMMIT})

    def is_stranger(self) -> bool:
        return self.headers.get("Authorization") != "Bearer hf_of_a_test"

    def named(self, path: str) -> str:
        return "/".join(path.split("/")[3:5])

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def json(self, value: Any, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self, *, with_body: bool) -> None:
        owner, name, _, revision, file = self.path.lstrip("/").split("/", 4)
        files = self.repositories.get(f"{owner}/{name}")
        commit = self.commits.get(f"{owner}/{name}", COMMIT)
        if files is None:
            self.refuse(404, "RepoNotFound")
        elif owner == "closed":
            self.refuse(403, "")
        elif revision not in ("main", commit):
            self.refuse(404, "RevisionNotFound")
        elif file not in files:
            self.refuse(404, "EntryNotFound")
        else:
            data = files[file]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", f'"{self.announced.get(data) or etag(data, large=file.endswith(WEIGHTS))}"')
            self.send_header("X-Repo-Commit", commit)
            self.end_headers()
            if with_body:
                self.wfile.write(data)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def etag(data: bytes, *, large: bool) -> str:
    """As the Hub names contents: large files by SHA-256, others by their git blob."""
    return hashlib.sha256(data).hexdigest() if large else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
