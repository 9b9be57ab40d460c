"""What commands show on a terminal: progress bars and complaints on standard error, tables on standard output."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from hpinet.progress import Progress, ignore

Bars = Callable[[str], Progress]

FAILED = 2  # exit code where something asked for could not be done
INTERRUPTED = 130


def complain(message: str) -> None:
    """One line on standard error."""
    print(f"Error: {message}", file=sys.stderr)


def tally(done: int, failed: int, skipped: Mapping[str, Sequence[str]]) -> str:
    """What a run over many pictures came to, in a line; ``skipped`` holds names by reason."""
    parts = [f"{done} enlarged", f"{failed} failed" if failed else ""]
    for reason, names in skipped.items():
        parts.append(f"{len(names)} skipped ({reason}: {names[0]}{', …' if len(names) > 1 else ''})")
    return ", ".join(part for part in parts if part) + "."


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be, numbers to the right; the same on a terminal and in a pipe."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if _is_number(rows[0][column]) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").isdecimal()


@contextmanager
def bars() -> Iterator[Bars]:
    """Progress bars on standard error, where that is a terminal.

    Gives a function that makes a callback of a title. Its bar shows from the first call until all is done.
    """
    if not sys.stderr.isatty():
        yield lambda _title: ignore
        return
    from rich.console import Console  # noqa: PLC0415 (slow to come, and seldom needed)
    from rich.progress import Progress as RichProgress  # noqa: PLC0415

    # Standard output may be a pipe: only where both are the same terminal is it to be kept clear of the bars.
    together = sys.stdout.isatty()
    with RichProgress(console=Console(stderr=True), transient=True, redirect_stdout=together) as display:

        def bar(title: str) -> Progress:
            task = None

            def show(done: int, total: int) -> None:
                nonlocal task
                if done >= total:
                    if task is not None:
                        display.remove_task(task)
                        task = None
                elif task is None:
                    task = display.add_task(title, completed=done, total=total)
                else:
                    display.update(task, completed=done, total=total)

            return show

        yield bar
