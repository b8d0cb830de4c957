"""XML that nobody vouches for, and the text of an XHTML document."""

from __future__ import annotations

import re
from html.entities import html5
from typing import TYPE_CHECKING, Final

from lxml import etree

from persbench.build.formats.base import Account, Block, Line, UnreadableError, split_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from persbench.build.formats.headings import Headings

_BLOCKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr",
    "html", "legend", "li", "main", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "ul",
})  # fmt: skip
_HEADINGS: Final = frozenset(f"h{level}" for level in range(1, 7))
# Not text, or (rt, rp) a reading aid that would stand in the middle of a word.
_SKIPPED: Final = frozenset({
    "audio", "head", "math", "nav", "object", "rp", "rt", "script", "style", "svg", "template", "title", "video",
})  # fmt: skip
_ENTITY: Final = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,31});")
_OF_XML: Final = (b"amp", b"lt", b"gt", b"quot", b"apos")


def parse_xml(data: bytes) -> etree._Element:
    """Parse XML, loading and unfolding nothing: no DTD, no network, no entities of its own, no bottomless nesting.

    Args:
        data: The bytes of the document; names of HTML's entities (`&nbsp;`) are known.

    Returns:
        The root.

    Raises:
        UnreadableError: It is not well-formed, or declares entities.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(_ENTITY.sub(_character, data), parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        raise UnreadableError(f"broken XML: {getattr(error, 'msg', None) or error}") from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and next(declared.iterentities(), None) is not None:
        raise UnreadableError("declares XML entities of its own")
    if (unknown := next(root.iter(etree.Entity), None)) is not None:
        raise UnreadableError(f"holds the unknown XML entity {unknown.text}")
    return root


def _character(name: re.Match[bytes]) -> bytes:
    characters = html5.get(name[1].decode() + ";")
    if characters is None or name[1] in _OF_XML:
        return name[0]
    return "".join(f"&#{ord(character)};" for character in characters).encode()


def read_document(root: etree._Element, section: int, headings: Headings, account: Account) -> Iterator[Block]:
    """Yield the text of an XHTML document as blocks, each a paragraph or the like.

    Args:
        root: The document.
        section: Its place in the book, which its lines are numbered by.
        headings: The headings of the book so far; those of the document enter it.
        account: Cleans the text.

    Yields:
        Blocks in order.
    """
    held: list[str] = []
    walk = etree.iterwalk(root, events=("start", "end"))
    for event, element in walk:
        name = etree.QName(element).localname.lower()
        if event == "start":
            if name in _SKIPPED:
                walk.skip_subtree()
            else:
                if name in _BLOCKS:
                    yield from _flush(held, section, headings, account)
                held.append("\n" if name == "br" else _folded(element.text))
                if name == "img":
                    held.append(_folded(element.get("alt")))
        else:
            if name in _HEADINGS:
                headings.enter(int(name[1]), section, account.clean("".join(held), section))
                held.clear()
            elif name in _BLOCKS:
                yield from _flush(held, section, headings, account)
            held.append(_folded(element.tail))
    yield from _flush(held, section, headings, account)


def _folded(text: str | None) -> str:
    """Fold white space as a browser does: a line end in the file is a blank."""
    return re.sub(r"[ \t\r\n]+", " ", text or "")


def _flush(held: list[str], section: int, headings: Headings, account: Account) -> Iterator[Block]:
    text = "".join(held)
    held.clear()
    if text.strip():
        yield from split_blocks([Line(section, account.clean(text, section))], headings.above(), filled=True)
