"""Small books for the tests: EPUB and PDF files composed here, byte by byte where the damage is the point."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from persbench.build.units import Limits, UnitsRead, read_units
from persbench.errors import FaultsError

ONE = "She kept the ferry for eleven years and never crossed it once."
TWO = "The winter her father died the river froze from bank to bank."
THREE = "Nobody knew what she had buried under the third willow tree."
CONTAINER = """<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>"""
XHTML = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><style>p {{ color: red }}</style></head>
<body>{}</body></html>"""


def package(hrefs: list[str], *, spine: list[str] | None = None) -> str:
    """The package document of a book with these documents, c1, c2, ... in order."""
    items = "".join(
        f'<item id="c{i}" href="{href}" media-type="application/xhtml+xml"/>' for i, href in enumerate(hrefs, start=1)
    )
    order = spine if spine is not None else [f"c{i}" for i in range(1, len(hrefs) + 1)]
    refs = "".join(f'<itemref idref="{idref}"/>' for idref in order)
    return (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><manifest>'
        '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        f'{items}</manifest><spine><itemref idref="nav"/>{refs}</spine></package>'
    )


def epub(path: Path, *bodies: str, members: Mapping[str, str | bytes] | None = None) -> Path:
    """Write a book whose documents have these bodies; `members` adds files or replaces them."""
    hrefs = [f"chapter%20{i}.xhtml" for i in range(1, len(bodies) + 1)]
    contents: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": package(hrefs),
        "OEBPS/nav.xhtml": XHTML.format("<nav><ol><li>Contents of no interest</li></ol></nav>"),
        **{f"OEBPS/chapter {i}.xhtml": XHTML.format(body) for i, body in enumerate(bodies, start=1)},
        **(members or {}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for name, data in contents.items():
            book.writestr(name, data)
    return path


def pdf(path: Path, *pages: list[tuple[float, float, float, str]]) -> Path:
    """Write a PDF whose pages hold lines of (left, base, size, ASCII text); an empty page holds none."""
    objects: list[bytes] = [b"", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids: list[int] = []
    for lines in pages:
        drawn = "".join(
            f"BT /F1 {size} Tf 1 0 0 1 {left} {base} Tm ({_escaped(text)}) Tj ET\n" for left, base, size, text in lines
        )
        stream = drawn.encode("latin-1")
        kids.append(len(objects) + 1)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {len(objects) + 2} 0 R >>".encode()
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n".encode() + stream + b"endstream")
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(f'{kid} 0 R' for kid in kids)}] /Count {len(kids)} >>".encode()
    data = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = len(data)
    data += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    data += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    data += f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode()
    path.write_bytes(bytes(data))
    return path


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def read(path: Path, **limits: int) -> UnitsRead:
    """Read one file."""
    return read_units([path], objective=True, limits=Limits(**limits))


def faults(path: Path, **limits: int) -> list[str]:
    """Return what is wrong with one file, without its name."""
    with pytest.raises(FaultsError) as caught:
        read(path, **limits)
    return [str(fault).removeprefix(str(path)) for fault in caught.value.faults]
