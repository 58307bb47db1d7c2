"""What must hold of a text before its cells are cut: its encoding, its quotes, its first line of names."""

from __future__ import annotations

import csv
from collections.abc import Sequence

import numpy as np

from sslplug.contracts.reading import Faults, Reading, Refused

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
_MAGIC = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip archive",
    b"\xfd7zXZ": "an xz archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x89HDF": "an HDF5 file",
    b"SQLite": "an SQLite database",
    b"{\n": "JSON",
    b"[{": "JSON",
    b'{"': "JSON",
    b"<!": "a web page",
    b"<h": "a web page",
}


def beginning(content: bytes, file: str) -> Reading[bytes]:
    """The first block of a file without a byte order mark; refused where it is another kind of file."""
    if not content.strip():
        raise Refused(Faults("empty-file", file, "an empty file", "a first line of names, then rows", "Write it again."))
    for magic, what in _MAGIC.items():
        if content.startswith(magic):
            raise Refused(
                Faults("another-format", file, what, "text with one row a line", "Export it as CSV, or give Parquet.")
            )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Refused(Faults("not-utf-8", file, "text in UTF-16", "text in UTF-8", 'Save it as "CSV UTF-8".'))
    if content.startswith(b"\xef\xbb\xbf"):
        yield Faults(
            "byte-order-mark",
            file,
            "a byte order mark before the first name",
            "plain UTF-8",
            "It is passed over.",
            harmless=True,
        )
        content = content[3:]
    return content


def utf8(content: bytes, file: str, row: int) -> Reading[bytes]:
    """The content as valid UTF-8 without bytes of value 0; ``row`` is the number of the row before it."""
    if b"\0" in content:
        lines = content.split(b"\n")
        yield Faults(
            "nul-bytes",
            file,
            "bytes of value 0",
            "text",
            "The file is damaged or no text; write it again.",
            row + _rows(lines)[[number for number, line in enumerate(lines) if b"\0" in line]],
        )
        content = content.replace(b"\0", b"")
    if not content.isascii():
        try:
            content.decode()
        except UnicodeDecodeError:
            lines = content.split(b"\n")
            bad = [number for number, line in enumerate(lines) if not _valid(line)]
            yield Faults(
                "not-utf-8",
                file,
                lambda k: f"bytes that are no UTF-8 in {lines[bad[k]].decode('latin-1').strip()[:60]!r} (read as Latin-1)",
                "text in UTF-8",
                'Save it as "CSV UTF-8".',
                row + _rows(lines)[bad],
            )
            content = content.decode("utf-8", "replace").encode()
    return content


def quoted(content: bytes, file: str, quotes: bool, row: int) -> Reading[bytes]:
    """The content with its quotes in pairs; ``row`` is the number of the row before it."""
    if not quotes or content.count(b'"') % 2 == 0:
        return content
    lines = content.split(b"\n")
    odd = next(number for number, line in enumerate(lines) if line.count(b'"') % 2)
    number = row + int(_rows(lines)[odd])
    yield Faults(
        "unclosed-quote",
        file,
        "a quote that is never closed",
        'quotes (") in pairs',
        "Close it, or write the quote inside a cell twice.",
        None if number < 1 else [number],
    )
    lines[odd] = lines[odd].replace(b'"', b"")
    return b"\n".join(lines)


def heading(file: str, content: bytes, separator: str, quotes: bool) -> Reading[list[str]]:
    """The names of the columns in the first line; refused where it shows another separator or no names."""
    line = content[: content.find(b"\n")] if b"\n" in content else content
    first = line.decode().rstrip("\r")
    written = next(csv.reader([first], delimiter=separator), [first]) if quotes else first.split(separator)
    if len(written) == 1:
        others = [other for other in SEPARATORS if other != separator and other in first.strip()]
        if others:
            raise Refused(
                Faults(
                    "wrong-delimiter",
                    file,
                    f"{SEPARATORS[others[0]]} between the names of the first line, {first[:60]!r}",
                    f"{SEPARATORS.get(separator, repr(separator))} between cells",
                    "Write the table with the separator that its suffix promises.",
                )
            )
    if all(_number(name) for name in written) and not _counted(written):
        raise Refused(
            Faults(
                "no-heading",
                file,
                f"numbers in the first line ({first[:60]})",
                "the names of the columns",
                "Add a first line of names.",
            )
        )
    names = [name.strip() for name in written]
    if names != written:
        yield Faults(
            "blank-around-name",
            file,
            "blanks around names of columns",
            "names alone",
            "They are passed over.",
            harmless=True,
        )
    return names


def _rows(lines: list[bytes]) -> np.ndarray:
    """The row that each line is of, from 1 on: lines that are not empty count, and those inside a quoted cell do not."""
    inside = np.cumsum([0, *(line.count(b'"') for line in lines[:-1])]) % 2
    return np.cumsum([bool(line.strip(b"\r")) and not within for line, within in zip(lines, inside, strict=True)])


def _valid(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _counted(names: Sequence[str]) -> bool:
    """Whether four names or more count the columns, from 0 or 1 on, as tools name the columns of an array."""
    counts = [[str(start + place) for place in range(len(names))] for start in (0, 1)]
    return len(names) > 3 and list(names) in counts


def tidy(error: Exception) -> str:
    """An error's words in one line, of signs that can be shown."""
    return "".join(c if c.isprintable() else "?" for c in str(error))[:200]
