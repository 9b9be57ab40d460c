"""What became of each picture of an archive: a Parquet file beside the results, which a run that starts again goes by.

Lines are gathered for a moment and written as a small file of their own, which appears whole or not at all, so that a
run that is killed loses the lines of that moment: their pictures are made again, to the same bytes and names. At the
end all become one file, `NAME`, with one line for each picture: the last one there was. Another run into the same
folder may do so at any time.
"""

# pyright: reportMissingImports=false
# ruff: noqa: PLC0415 (PyArrow comes with the extra)

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from io import BytesIO
from secrets import token_hex
from typing import TYPE_CHECKING, Literal

from hpinet.cluster.connection import ClusterError
from hpinet.cluster.places import Place

if TYPE_CHECKING:
    import pyarrow

NAME = "manifest.parquet"
PARTS = ".manifest"
FLUSH_SECONDS = 2.0
FLUSH_LINES = 500

Outcome = Literal["done", "failed", "refused"]
"""``refused``: nothing was tried, what was asked for cannot be done with this picture."""


@dataclass(frozen=True)
class Line:
    """One picture."""

    source: str  # its name within the source folder
    sha256: str  # of the source file; empty if it was not read
    bytes: int  # of the source file
    width: int  # pixels, upright; 0 if unknown
    height: int
    target: str  # the result's name within the target folder
    model: str  # such as hpinet-t-x4
    treatment: str
    order: str  # what was asked for, see `hpinet.cluster.order.Order.fingerprint`
    seconds: float  # from opening the source until the result was in its place
    outcome: Outcome
    error: str = ""  # why there is no result
    stamp: str = ""  # of the source file as it was listed, see `hpinet.cluster.places.File`


_COLUMNS = {"bytes": "int64", "width": "int32", "height": "int32", "seconds": "float64"}


class Manifest:
    """The lines of a target folder. Of a run, one process writes them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._parts = place.below(PARTS)
        self._waiting: list[Line] = []
        self._flushed = time.monotonic()

    def done(self, order: str) -> dict[str, tuple[int, str, str]]:
        """Bytes and stamp of the source and name of the result, by source, of what was done by such an order; both
        names as they are `written`.
        """
        lines = self._read()[0]
        if lines is None:
            return {}
        columns = (lines[name].to_pylist() for name in ("source", "bytes", "stamp", "target", "order", "outcome"))
        return {
            source: (size, stamp, target)
            for source, size, stamp, target, its_order, outcome in zip(*columns, strict=True)
            if outcome == "done" and its_order == order
        }

    def lines(self) -> Iterator[Line]:
        """The last line of each picture, as it is `written`."""
        lines = self._read()[0]
        for row in [] if lines is None else lines.to_pylist():
            yield Line(**row)

    def add(self, line: Line) -> None:
        """Notes a line, which is on disk after a moment, or where the disk is full when there is room again."""
        self._waiting.append(line)
        if len(self._waiting) >= FLUSH_LINES or time.monotonic() - self._flushed > FLUSH_SECONDS:
            with suppress(Exception):  # networks fail in any way; what stays wrong is said at the end
                self.flush()

    def flush(self) -> None:
        """Writes what is noted. Raises OSError or, behind an address, any other."""
        if self._waiting:
            self._parts.write(f"{time.time_ns():020d}-{token_hex(4)}.parquet", _encoded(_table(self._waiting)))
            self._waiting = []
        self._flushed = time.monotonic()

    def compact(self) -> None:
        """Makes one file of all there is. Killed meanwhile, it loses nothing: lines that are there twice count once."""
        self.flush()
        while True:
            lines, parts = self._read()
            if lines is None or not parts:
                return
            data = _encoded(lines)
            if not parts - self._names():  # or another run has made one file of more than was read here
                break
        self._place.write(NAME, data)
        for part in parts:
            self._parts.delete(part)

    def _read(self) -> tuple["pyarrow.Table | None", set[str]]:
        """The last line of each picture, and the names of the parts they were in. Raises ClusterError for what is no
        manifest.
        """
        import pyarrow as pa

        parts = self._names()
        tables = [table for name in sorted(parts) if (table := _table_in(self._parts, name)) is not None]
        # Read last: it has what was in parts that are gone meanwhile.
        if (whole := _table_in(self._place, NAME)) is not None:
            tables.insert(0, whole)
        if not tables:
            return None, parts
        together = pa.concat_tables(tables)
        last = {source: row for row, source in enumerate(together["source"].to_pylist())}
        return together.take(sorted(last.values())), parts

    def _names(self) -> set[str]:
        """Of the parts."""
        return {name for name, *_ in self._parts.files() if name.endswith(".parquet") and name[0] != "."}


def written(text: str) -> str:
    """A text as the manifest has it: with escapes for bytes of names that are no UTF-8, which Parquet cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _row(line: Line) -> dict[str, object]:
    return {name: written(value) if isinstance(value, str) else value for name, value in asdict(line).items()}


def _table(lines: list[Line]) -> "pyarrow.Table":
    import pyarrow as pa

    return pa.Table.from_pylist([_row(line) for line in lines], schema=_schema())


def _schema() -> "pyarrow.Schema":
    import pyarrow as pa

    return pa.schema([(field.name, _COLUMNS.get(field.name, "string")) for field in fields(Line)])


def _table_in(place: Place, name: str) -> "pyarrow.Table | None":
    """The lines in a file, if there is one. Raises ClusterError for what is no manifest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        data = place.read(name)
    except FileNotFoundError:
        return None
    try:
        table = pq.read_table(BytesIO(data))
        if "stamp" not in table.column_names:  # earlier versions kept none
            table = table.append_column("stamp", pa.array([""] * len(table), pa.string()))
        return table.select(_schema().names).cast(_schema())
    except (pa.ArrowException, KeyError, OSError) as error:  # OSError: it is cut off
        raise ClusterError(
            f"{place.prefix}{name} is damaged or no manifest: move it away, and all is made again."
        ) from error


def _encoded(table: "pyarrow.Table") -> bytes:
    import pyarrow.parquet as pq

    file = BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()
