"""The real server in a process of its own, which tells what it opens: ``python watched.py FOLDER PROJECT``.

Writes `address` (JSON: the server's, and the paths of all its routes) when it is ready, and to `violations` a line for
every file opened outside of the places below, for every connection beyond this machine, and for every other program.
"""

import json
import os
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any

OWN = ("tmp", "cache", "matplotlib", "home")  # of FOLDER: temporary files with all uploads, caches, settings
SHIPPED = ("hpinet", "checkpoints", "examples")  # of PROJECT
FILES = {"open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "shutil.copyfile"}
PROGRAMS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"}
LOOPBACK = {"127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None}


def watch(folder: Path, project: Path) -> None:
    """From now on, notes whatever lies outside."""
    python = {sys.prefix, *sysconfig.get_paths().values()}  # with all packages
    python.update(path for path in sys.path if path.startswith(sys.base_prefix))
    places = [*(folder / name for name in OWN), *(project / name for name in SHIPPED), *python]
    inside = tuple(f"{os.path.realpath(place)}{os.sep}" for place in places)
    own = f"/proc/{os.getpid()}"
    allowed = {os.devnull, f"{own}/stat", f"{own}/statm"}  # how much memory is in use
    violations = os.open(folder / "violations", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(event: str, what: object) -> None:
        os.write(violations, f"{event} {what}\n".encode(errors="replace"))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILES:
            for path in arguments[:1] if event == "open" else arguments[:2]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    real = os.path.realpath(os.fsdecode(path))
                    if not f"{real}{os.sep}".startswith(inside) and real not in allowed:
                        note(event, real)
        elif event == "socket.connect":
            if isinstance(arguments[1], tuple) and arguments[1][0] not in LOOPBACK:
                note(event, arguments[1])
        elif (event == "socket.getaddrinfo" and arguments[0] not in LOOPBACK) or event in PROGRAMS:
            note(event, arguments[0])

    sys.addaudithook(hook)


def paths(routes: list[Any]) -> list[str]:
    """Of all routes, those of included routers too."""
    found: list[str] = []
    for route in routes:
        inner = getattr(route, "original_router", None)
        found += [route.path] if inner is None else paths(inner.routes)
    return found


def works(fns: dict[int, Any]) -> dict[int, str]:
    """What each handler does: those that are alike run the same function with values of the same components."""

    def told(handler: Any) -> str:
        name = f"{getattr(handler.fn, '__module__', '')}.{getattr(handler.fn, '__qualname__', '')}"
        return (
            f"{name} {getattr(getattr(handler.fn, '__self__', None), 'work', '')} {[one._id for one in handler.inputs]}"
        )

    return {number: told(handler) for number, handler in fns.items()}


def main(folder: Path, project: Path) -> None:
    """Serves until it is ended."""
    import matplotlib.font_manager  # looks through the fonts of the system, once  # noqa: F401

    from hpinet.ui import create_demo, launch_options

    demo = create_demo()
    app, address, _ = demo.launch(**launch_options(), server_name="127.0.0.1", prevent_thread_lock=True, quiet=True)
    told = {"address": address.rstrip("/"), "routes": paths(list(app.routes)), "works": works(demo.fns)}
    ready = folder / "ready"
    ready.write_text(json.dumps(told))
    os.link(ready, folder / "address")  # at once, as a whole
    watch(folder, project)
    threading.Event().wait()


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[2])
    main(Path(sys.argv[1]), Path(sys.argv[2]))
