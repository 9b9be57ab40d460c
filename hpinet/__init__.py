"""HPINet: makes small pictures large. `Upscaler` is the way in; everything heavy is imported when first used."""

from importlib import import_module
from typing import TYPE_CHECKING

from hpinet.version import __version__

if TYPE_CHECKING:
    from hpinet.checkpoints.pretrained import HPINet as HPINet
    from hpinet.images import Picture as Picture
    from hpinet.images import open_picture as open_picture
    from hpinet.images import save_picture as save_picture
    from hpinet.upscaler import Upscaler as Upscaler

_HOME = {
    "HPINet": "hpinet.checkpoints.pretrained",
    "Upscaler": "hpinet.upscaler",
    "Picture": "hpinet.images",
    "open_picture": "hpinet.images",
    "save_picture": "hpinet.images",
}
__all__ = ["HPINet", "Picture", "Upscaler", "__version__", "open_picture", "save_picture"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
