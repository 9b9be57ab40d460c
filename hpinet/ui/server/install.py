"""What a browser needs to install the page like a program: a manifest, and icons of our own."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from hpinet.ui.server.routes import FAVICON, ICON, MANIFEST

FOLDER = Path(__file__).parent  # the icons are made by scripts/make_icon.py
ICON_SIZES = (192, 512)
COLOUR = "#134f4d"

HEAD = f"""<meta name="theme-color" content="{COLOUR}">
<link rel="icon" type="image/png" href="icon-192.png">
<link rel="apple-touch-icon" href="icon-192.png">
"""

_MANIFEST = {
    "name": "HPINet",
    "short_name": "HPINet",
    "description": "Makes small pictures large.",
    "id": "./",
    "start_url": "./",
    "scope": "./",
    "display": "standalone",
    "background_color": "#f8f9fa",
    "theme_color": COLOUR,
    "icons": [
        {"src": f"icon-{side}.png", "sizes": f"{side}x{side}", "type": "image/png", "purpose": purpose}
        for side in ICON_SIZES
        for purpose in ("any", "maskable")
    ],
}


async def _manifest(_request: Request) -> JSONResponse:
    return JSONResponse(_MANIFEST, media_type="application/manifest+json")


async def _favicon(_request: Request) -> FileResponse:
    return _icon(ICON_SIZES[0])


async def _sized(request: Request) -> Response:
    side = request.path_params["side"]
    if side not in map(str, ICON_SIZES):
        return Response(status_code=404)  # the guard has the words
    return _icon(int(side))


def _icon(side: int) -> FileResponse:
    headers = {"cache-control": "public, max-age=86400"}
    return FileResponse(FOLDER / f"icon-{side}.png", media_type="image/png", headers=headers)


ROUTES = [Route(MANIFEST, _manifest), Route(FAVICON, _favicon), Route(ICON, _sized)]
"""Answer GET. The first two come before Gradio's own, which know no icon of ours."""
