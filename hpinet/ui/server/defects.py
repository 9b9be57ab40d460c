"""What nobody has foreseen: logged with everything that is known of it, told to visitors as a number."""

import logging
import secrets

_log = logging.getLogger(__name__)


def reported(error: BaseException, where: str) -> str:
    """Logs a defect of ours under a short number; returns the sentence that names the number and nothing else."""
    number = f"{secrets.randbelow(1_000_000):06d}"
    _log.error("%s: unforeseen in %s", number, where, exc_info=error)
    return f"Something failed here that should not have. Try again; if it stays, report number {number}."
