"""EPUB: the documents of a book in reading order.

The one well-kept library for EPUB is under the AGPL. But a book is a ZIP file with an index and XHTML documents, and
nothing of it is ever unpacked to disk here: names that point outside have nowhere to go.
"""

from __future__ import annotations

import lzma
import posixpath
import struct
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit
from zipfile import BadZipFile, ZipFile

from persbench.build.formats.base import Account, Block, UnreadableError
from persbench.build.formats.headings import Headings
from persbench.build.formats.xhtml import parse_xml, read_document

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml import etree

_CONTAINER: Final = "META-INF/container.xml"
_ENCRYPTION: Final = "META-INF/encryption.xml"
_XHTML: Final = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")
_MEMBERS: Final = 100_000


def read(path: Path, account: Account) -> Iterator[Block]:
    """Read an EPUB as blocks under headings; lines are numbered by the document they stand in, in reading order.

    Args:
        path: The file.
        account: Grows by what is left out, and by a fault for each document that cannot be read.

    Yields:
        Blocks in order.

    Raises:
        UnreadableError: It is no EPUB, is protected, or exceeds a limit.
    """
    try:
        with ZipFile(path) as book:
            if len(book.namelist()) > _MEMBERS:
                raise UnreadableError(f"a ZIP file of more than {_MEMBERS:,} entries", "an EPUB")
            yield from _read_book(book, account)
    except (BadZipFile, NotImplementedError, EOFError, ValueError, struct.error) as error:
        raise UnreadableError(f"a broken ZIP file: {error}", "an EPUB that a reader opens") from error


def _read_book(book: ZipFile, account: Account) -> Iterator[Block]:
    names = _reading_order(book, account)
    protected = _protected(book, account)
    if protected & set(names):
        raise UnreadableError("protected by digital rights management", "a book without it")
    headings = Headings(account)
    left = account.limits.unpacked_bytes
    for section, name in enumerate(names, start=1):
        try:
            data = _member(book, name, account)
            left -= len(data)
            root = parse_xml(data)
        except UnreadableError as error:
            account.fault(
                section, f"{name}: {error.message}", error.expected or "a book that an EPUB editor calls sound"
            )
        else:
            yield from read_document(root, section, headings, account)
        if left < 0:
            raise UnreadableError(f"more than {account.limits.unpacked_bytes:,} bytes unpacked", "a part of the book")
    headings.close()


def _reading_order(book: ZipFile, account: Account) -> list[str]:
    """Return the names of the documents, in the order of the spine, without the table of contents."""
    container = _index(book, _CONTAINER, account)
    package_name = next((e.get("full-path") for e in container.iterfind(".//{*}rootfile") if e.get("full-path")), None)
    if not package_name:
        raise UnreadableError(f"{_CONTAINER} names no package document", "an EPUB")
    package = _index(book, package_name, account)
    manifest = {item.get("id"): item for item in package.iterfind(".//{*}manifest/{*}item")}
    names: list[str] = []
    for place in package.iterfind(".//{*}spine/{*}itemref"):
        item = manifest.get(place.get("idref"))
        if item is None or not item.get("href"):
            raise UnreadableError(f"the spine names {place.get('idref')!r}, which the manifest lacks", "a sound EPUB")
        if "nav" in (item.get("properties") or "").split() or item.get("media-type") not in _XHTML:
            continue
        name = _resolved(package_name, item.get("href") or "")
        if name not in names:
            names.append(name)
    if not names:
        raise UnreadableError("the spine names no XHTML document", "a book with text")
    if len(names) > account.limits.documents:
        raise UnreadableError(f"more than {account.limits.documents:,} documents", "a part of the book")
    return names


def _index(book: ZipFile, name: str, account: Account) -> etree._Element:
    try:
        return parse_xml(_member(book, name, account))
    except UnreadableError as error:
        raise UnreadableError(f"{name}: {error.message}", error.expected or "a sound EPUB") from error


def _resolved(package_name: str, href: str) -> str:
    """Return the name of a member from a reference in the package document.

    Raises:
        UnreadableError: The reference points outside the book.
    """
    parts = urlsplit(href)
    name = posixpath.normpath(posixpath.join(posixpath.dirname(package_name), unquote(parts.path)))
    if parts.scheme or parts.netloc or name.startswith(("/", "..")) or "\\" in name:
        raise UnreadableError(f"{href!r} points outside the book", "documents inside it")
    return name


def _protected(book: ZipFile, account: Account) -> set[str]:
    """Return the names of encrypted members. Fonts often are, and do not matter."""
    if _ENCRYPTION not in book.namelist():
        return set()
    root = _index(book, _ENCRYPTION, account)
    return {unquote(reference.get("URI") or "") for reference in root.iterfind(".//{*}CipherReference")}


def _member(book: ZipFile, name: str, account: Account) -> bytes:
    """Unpack one member, never more of it than the limit, whatever its header says.

    Raises:
        UnreadableError: It is missing, encrypted, broken or too large.
    """
    largest = account.limits.document_bytes
    try:
        with book.open(name) as file:
            data = file.read(largest + 1)
    except KeyError:
        raise UnreadableError("missing from the book", "a sound EPUB") from None
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise UnreadableError(f"cannot be unpacked: {error}", "a sound EPUB without a password") from error
    if len(data) > largest:
        raise UnreadableError(f"more than {largest:,} bytes unpacked", "a book of ordinary chapters")
    return data
