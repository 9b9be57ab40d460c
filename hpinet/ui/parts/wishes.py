"""What a visitor has chosen by hand: it holds for every picture, across reloads, until it is reset."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from hpinet.treatment import TREATMENTS
from hpinet.ui.jobs.models import for_enlarging
from hpinet.ui.jobs.previews import FORMATS
from hpinet.ui.parts.controls import IN_PIXELS, SCALES

STORAGE = "hpinet-settings"
"""What the browser calls them."""


@dataclass(frozen=True)
class Wishes:
    """The values of the fields that were touched; None of the others, which follow the picture."""

    model: str | None = None
    scale: str | None = None
    treatment: str | None = None
    format: str | None = None

    @classmethod
    def read(cls, value: object) -> "Wishes":
        """What a browser has kept, less whatever is on offer no more, or never was."""
        told = value if isinstance(value, dict) else {}
        on_offer = {"model": for_enlarging(), "scale": [*SCALES, IN_PIXELS], "treatment": TREATMENTS, "format": FORMATS}
        kept = {name: told.get(name) for name in NAMES}
        return cls(**{name: wish for name, wish in kept.items() if isinstance(wish, str) and wish in on_offer[name]})

    @property
    def scale_number(self) -> int | None:
        """The scale as a number, None for a size in pixels too."""
        return SCALES.get(self.scale or "")

    def over(self, others: "Wishes") -> "Wishes":
        """These, and the others where there is none."""
        return replace(others, **self.to_keep())

    def to_keep(self) -> dict[str, Any]:
        """For the browser."""
        return {name: wish for name, wish in asdict(self).items() if wish is not None}


NAMES = [field.name for field in fields(Wishes)]
