"""What the page's own handlers do with values that no page of ours sends."""

import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from hpinet.ui.server import storage


def handlers_of_files(config: dict[str, Any]) -> list[tuple[int, list[Any]]]:
    """The number of every handler here that takes a picture or files, with the values that its fields begin with."""
    fields = {field["id"]: field for field in config["components"]}
    found = []
    for handler in config["dependencies"]:
        kinds = [fields[field]["type"] for field in handler["inputs"]]
        if handler["backend_fn"] and {"image", "file"} & set(kinds):  # others run in the browser
            values = [fields[field]["props"].get("value") for field in handler["inputs"]]
            found.append((handler["id"], [*zip(kinds, values, strict=True)]))
    return found


def answer(server: str, handler: int, values: list[Any]) -> dict[str, Any]:
    """What the page's script would get for these values: the last message about the event."""
    session = secrets.token_hex(6)
    with httpx.Client(base_url=f"{server}/gradio_api", timeout=60) as http:
        joined = http.post("/queue/join", json={"fn_index": handler, "session_hash": session, "data": values})
        assert joined.status_code == 200, joined.text
        with http.stream("GET", "/queue/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed":
                    return message["output"]
    raise AssertionError("no answer")


@pytest.mark.slow
@pytest.mark.parametrize("with_meta", [False, True])
def test_the_servers_own_pictures_stay_closed(server: str, tmp_path: Path, with_meta: bool) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (3343, 2)).save(secret)
    file: dict[str, Any] = {"path": str(secret)}
    if with_meta:
        file["meta"] = {"_type": "gradio.FileData"}
    handlers = handlers_of_files(httpx.get(f"{server}/config").json())
    assert len(handlers) >= 8
    before = set(storage.results_root().rglob("*.png"))
    for handler, fields in handlers:
        values = [file if kind == "image" else [file] if kind == "file" else value for kind, value in fields]
        told = json.dumps(answer(server, handler, values).get("data"))
        assert "secret" not in told
        assert "3343" not in told  # its width
    made = set(storage.results_root().rglob("*.png")) - before  # by visits of other tests that end only now
    assert not [path for path in made if "secret" in path.name or is_wide(path)]


def is_wide(path: Path) -> bool:
    """Like the server's own picture, or one made of it."""
    with Image.open(path) as picture:
        return picture.width > 100 * picture.height
