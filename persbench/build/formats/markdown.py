"""Markdown: paragraphs without their marks, under their headings."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from persbench.build.formats.base import Line, split_blocks
from persbench.build.formats.headings import Headings
from persbench.build.formats.plain import cleaned_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from persbench.build.formats.base import Account, Block

_TAG: Final = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|center|cite|code|dd|del|details|div|dl|dt|em|figure|figcaption|font|h[1-6]|hr|i|"
    r"img|ins|kbd|li|mark|ol|p|pre|q|s|section|small|span|strike|strong|sub|summary|sup|table|tbody|td|th|thead|tr|tt|"
    r"u|ul)(?=[\s/>])[^<>]*>",
    re.IGNORECASE,
)
_INLINE_TAG: Final = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|del|em|font|i|ins|kbd|mark|q|s|small|span|strike|strong|sub|sup|tt|u)\b",
    re.IGNORECASE,
)
_LITERAL: Final = {"code_block": "literal", "html_block": "html", "fence": "fence"}
_FRONT_MATTER_LINES: Final = 100
# Beyond these a paragraph keeps its marks: what looks for the ends of links takes time with the square of them.
_LONGEST_PARAGRAPH: Final = 20_000
_MOST_BRACKETS: Final = 200
_HEADING_WORDS: Final = 25  # more than that is a paragraph with a line of dashes under it


def read(path: Path, account: Account) -> Iterator[Block]:
    """Read a Markdown file as blocks under headings.

    Link text, alternative texts, table rows and code in the line stay as words; code blocks, front matter and HTML
    comments are left out by name.

    Args:
        path: The file.
        account: Grows by what is left out.

    Yields:
        Blocks in order.

    Raises:
        UnreadableError: See `plain.cleaned_lines`.
    """
    lines = [Line(number, part) for number, text in cleaned_lines(path, account) for part in text.split("\n")]
    start = _front_matter(lines, account)
    headings = Headings(account)
    parser = _parser()
    tokens = parser.parse("\n".join(text for _, text in lines[start:]), {})
    numbers = [number for number, _ in lines[start:]] or [1]
    for kind, first, content in _pieces(tokens):
        number = numbers[min(first, len(numbers) - 1)]
        text = content
        if kind == "fence":
            count = content.count("\n")
            account.leave_out(number, f"a code block of {count:,} line{'s' * (count != 1)}")
            continue
        if kind == "html":
            text = _without_html(content, number, account)
        elif kind != "literal":
            text = _plain(parser, content, number, account)
        if kind.startswith("h") and kind[1:].isdigit() and len(text.split()) <= _HEADING_WORDS:
            headings.enter(int(kind[1:]), number, text)
        elif text.strip():
            parts = [Line(numbers[min(first + i, len(numbers) - 1)], part) for i, part in enumerate(text.split("\n"))]
            yield from split_blocks(parts, headings.above(), filled=True)
    headings.close()


def _pieces(tokens: Sequence[Token]) -> Iterator[tuple[str, int, str]]:
    """Yield (kind, 0-based line, content) of each piece of text: text, h1 to h6, literal, html or fence."""
    mark, first, cells = "", 0, list[str]()
    for before, token in pairwise([Token("start", "", 0), *tokens]):
        first = token.map[0] if token.map else first
        if token.type == "list_item_open":
            mark += f"{token.info}{token.markup} " if token.info else ""  # "1890. A hard year" is a numbered item
        elif token.type == "tr_open":
            cells = []
        elif token.type == "tr_close":
            yield "text", first, " | ".join(cells)
        elif token.type == "inline" and before.type in ("td_open", "th_open"):
            cells.append(token.content)
        elif token.type == "inline":
            yield before.tag if before.type == "heading_open" else "text", first, mark + token.content
            mark = ""
        elif token.type in _LITERAL:
            yield _LITERAL[token.type], first, token.content
    if mark:  # of an item without a word
        yield "text", first, mark.rstrip()


def _parser() -> MarkdownIt:
    """A CommonMark parser that leaves the inside of paragraphs alone, so that they are parsed one at a time.

    Without link definitions: `[Anna]: hello` is one, and would vanish.
    """
    parser = MarkdownIt("commonmark").enable("table").disable("reference")
    parser.core.ruler.disable(["inline"])
    return parser


def _front_matter(lines: Sequence[Line], account: Account) -> int:
    """Return the number of lines of a YAML header at the very start."""
    if not lines or lines[0].text.rstrip() != "---":
        return 0
    for place, (_, text) in enumerate(lines[1:_FRONT_MATTER_LINES], start=1):
        if text.rstrip() in ("---", "..."):
            account.leave_out(1, "front matter")
            return place + 1
        if not text.strip():
            return 0
    return 0


def _plain(parser: MarkdownIt, content: str, number: int, account: Account) -> str:
    """Return a paragraph's words without its marks, its lines as they were."""
    if len(content) > _LONGEST_PARAGRAPH or content.count("[") > _MOST_BRACKETS:
        return content
    tokens: list[Token] = []
    parser.inline.parse(content, parser, {}, tokens)
    if any(token.type == "html_inline" and token.content.startswith("<!--") for token in tokens):
        account.leave_out(number, "an HTML comment")
    return "".join(_words(token) for token in tokens)


def _words(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return "\n"
    if token.type == "html_inline":
        # An unknown tag is no tag: `<Anna> hello` is a line of a chat.
        return "" if token.content.startswith("<!--") else _TAG.sub(_gap, token.content)
    return "".join(_words(child) for child in token.children or ()) or token.content


def _gap(tag: re.Match[str]) -> str:
    return "" if _INLINE_TAG.match(tag[0]) else "\n" if tag[0].lower().startswith("<br") else " "


def _without_html(content: str, number: int, account: Account) -> str:
    if re.match(r"\s*<(?:script|style)\b", content, re.IGNORECASE):
        account.leave_out(number, "a script or style sheet")
        return ""
    first, *rest = content.split("<!--")
    if rest:
        account.leave_out(number, "an HTML comment")
    kept = first + "".join(part.partition("-->")[2] for part in rest)
    return _TAG.sub(_gap, kept)
