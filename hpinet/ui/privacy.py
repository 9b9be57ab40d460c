"""A page of text: what is accepted, what becomes of pictures, what is noted. Its numbers are those of the settings."""

from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from hpinet import wording
from hpinet.images.formats import READABLE_LABELS
from hpinet.settings import Settings, settings
from hpinet.ui import languages
from hpinet.ui.server.routes import PRIVACY

LINK = f'<p class="privacy"><a href=".{PRIVACY}">Limits and privacy</a></p>'
"""For the foot of the page; relative, since a proxy may serve it below some path."""

_STYLE = """
:root { color-scheme: light dark; }
body { max-width: 42rem; margin: 3rem auto; padding: 0 1rem; font: 1rem/1.6 system-ui, sans-serif; }
"""


def text(limits: Settings) -> str:
    """The page as HTML."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Limits and privacy</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Limits and privacy</h1>
<h2>What is accepted</h2>
<ul>
<li>Files of up to {limits.max_upload_mb} MB, pictures of up to {limits.max_megapixels:g} megapixels, results of up to
{limits.max_result_megapixels:g} megapixels.</li>
<li>{READABLE_LABELS}.</li>
<li>Work of {wording.duration(limits.max_seconds)}, as expected before it begins; batches of up to
{limits.batch_files} pictures.</li>
<li>{limits.jobs_per_session} jobs of one visitor at a time. Jobs take turns, so that a small picture does not wait for
large ones.</li>
</ul>
<h2>What becomes of your pictures</h2>
<ul>
<li>Pictures and results lie on this server for {wording.hours(limits.keep_hours)} at most, or until you press
<em>Delete my pictures now</em>, under names that cannot be guessed. Nobody else is told these names, and nothing is
done with the pictures but what you asked for.</li>
<li>Location and other data in a picture's file do not go into results unless you choose so.</li>
<li>The settings that you choose are kept by your own browser; a cookie tells your work from that of others. Neither is
used for anything else.</li>
</ul>
<h2>What is noted</h2>
<p>For each job: what kind of work, how much memory, how long it took, and how it ended. No name, no address, no pixel.
The page loads nothing from any other server and reports to none.</p>
<p><a href="./">Back to the page</a></p>
</body>
</html>
"""


async def _privacy(request: Request) -> HTMLResponse:
    language = languages.asked_for(request.scope)
    page = languages.in_html(text(settings()), language)
    told = page.replace('lang="en"', f'lang="{language}" dir="{languages.direction(language)}"', 1)
    return HTMLResponse(told, headers={"vary": "accept-language, cookie"})


ROUTE = Route(PRIVACY, _privacy)
"""Answers GET with the page of text."""
