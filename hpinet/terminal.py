"""How commands end, and what they show: progress bars and complaints on standard error, tables on standard output."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

from typer import Typer, echo
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from hpinet.errors import HPINetError
from hpinet.paths import path_of
from hpinet.progress import Progress, ignore

Bars = Callable[[str], Progress]

FAILED = 2  # exit code where something asked for could not be done
INTERRUPTED = 130


def run(commands: Typer, *, name: str) -> NoReturn:
    """Runs the command line of this process, whose program is called ``name``, and ends it with the exit code."""
    for stream in (sys.stdout, sys.stderr):  # names of files can be anything: one must not end a run of many
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    command = get_command(commands)
    _know_home(command)
    try:
        code = command(prog_name=name, standalone_mode=False)
    except TyperException as error:  # a wrong option or argument; or help, where a group is called without a command
        code = FAILED
        message = error.format_message()
        echo(message if "\n" in message else f"Error: {message}", err=True)
    except HPINetError as error:
        code = FAILED
        complain(str(error))
    except OSError as error:  # of files, where nothing else was said of it
        code = FAILED
        what = error.strerror or str(error) or type(error).__name__
        complain(f"{error.filename}: {what}." if error.filename else f"{what}.")
    sys.exit(code)


def _know_home(command: object) -> None:
    """Lets every path that is given to a command begin with ~, which shells leave as it is in ``--output=~/large``."""
    if isinstance(command, TyperGroup):
        for each in command.commands.values():
            _know_home(each)
    elif isinstance(command, TyperCommand) and command.callback is not None:
        command.callback = _knowing_home(command.callback)


def _knowing_home(command: Callable[..., Any]) -> Callable[..., Any]:
    def meant(value: Any) -> Any:
        if isinstance(value, list):
            return [meant(each) for each in value]
        return path_of(value) if isinstance(value, Path) else value

    @wraps(command)
    def called(**values: Any) -> Any:
        return command(**{name: meant(value) for name, value in values.items()})

    return called


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
