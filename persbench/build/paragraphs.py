"""Paragraphs of prose: lines joined, the short ones gathered, the long ones cut at the ends of sentences."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from sentencex import segment

from persbench.build.formats.base import SUSPENDING
from persbench.scoring.words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from persbench.build.formats.base import Account, Block, Line

# Scripts written without blanks between words: Han, kana, and their punctuation and full-width forms.
_LETTER: Final = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED: Final = re.compile(f"[{_LETTER}]")
_NO_BLANK: Final = re.compile(f"[{_LETTER}\u3000-\u303f\uff00-\uff60]")
_HYPHEN_AT_END: Final = re.compile(r"[^\W\d_]-$")
_CLAUSE: Final = re.compile(r"(?<=[,;:])(?=\s)|(?<=[，；：、—])")
_TOKEN: Final = re.compile(f"[{_LETTER}]|(?:(?![{_LETTER}])\\S)+\\s*|\\s+")
_DATA: Final = re.compile(r"[!-~]{500,}")
_FILLED_WIDTH: Final = 120  # characters: a longer line was not broken to fill a page, so each line is a paragraph


@dataclass(frozen=True)
class Paragraph:
    """A paragraph as one line of text, which knows where its parts come from.

    Attributes:
        text: White space folded; short paragraphs gathered into one are divided by a line end.
        marks: (offset in the text, line of the file), ascending, the first offset 0.
        heading: As in `Block`.
    """

    text: str
    marks: tuple[tuple[int, int], ...]
    heading: str = ""

    def line_at(self, offset: int) -> int:
        """Return the line of the file that a character of the text stands in."""
        return self.marks[bisect_right(self.marks, (offset, float("inf"))) - 1][1]


def weight(text: str) -> float:
    """Return the length of a text in words; a Han or kana character counts half a word."""
    unspaced, count = _UNSPACED.subn(" ", text)
    return len(words(unspaced)) + count / 2


def paragraphs(blocks: Iterable[Block], account: Account) -> Iterator[Paragraph]:
    """Turn blocks of lines into paragraphs of a useful length.

    Args:
        blocks: Neighbours in one file.
        account: Its limits say how long a paragraph shall be (`shortest` and `longest`, in words); it grows by what has
            no words in it.

    Yields:
        Paragraphs in order. None is shorter than `shortest` unless it stands alone under its heading; none is longer
        than `longest` by more than `shortest`.
    """
    limits = account.limits
    spoken = (p for block in blocks for p in _joined(block) if _has_words(p, account))
    for whole in _gathered(spoken, limits.shortest):
        start = 0
        for piece in cut(whole.text, limits.longest, limits.shortest):
            begin = start + len(piece) - len(piece.lstrip())
            start += len(piece)
            yield Paragraph(piece.strip(), ((0, whole.line_at(begin)),), whole.heading)


def _has_words(paragraph: Paragraph, account: Account) -> bool:
    """Return whether a paragraph is prose; note what is none: a row of stars, or encoded data."""
    number = paragraph.marks[0][1]
    if not words(paragraph.text):
        account.leave_out(number, f"no words: {paragraph.text[:40]}")
        return False
    if data := _DATA.search(paragraph.text):
        account.leave_out(number, f"data, no prose: {len(data[0]):,} characters without a blank")
        return False
    return True


def joined_lines(lines: Sequence[Line]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Join lines that were broken to fill a page.

    Lines meet in a blank, save between characters of scripts without blanks and behind a hyphen that a letter stands
    before and a small letter after.

    Args:
        lines: At least one.

    Returns:
        (text, marks) as in `Paragraph`.
    """
    text, marks = "", list[tuple[int, int]]()
    for number, line in lines:
        folded = " ".join(line.split())
        if text and folded:
            close = _NO_BLANK.match(text[-1]) and _NO_BLANK.match(folded[0])
            hyphen = _HYPHEN_AT_END.search(text[-2:]) and folded[0].islower() and folded.split()[0] not in SUSPENDING
            text += "" if close or hyphen else " "
        if folded or not marks:
            marks.append((len(text), number))
        text += folded
    return text, tuple(marks)


def _joined(block: Block) -> Iterator[Paragraph]:
    """Yield the paragraphs of a block."""
    groups: list[list[Line]] = []
    lines_are_paragraphs = not block.filled and any(len(line.text) > _FILLED_WIDTH for line in block.lines)
    for place, line in enumerate(block.lines):
        before = block.lines[place - 1].text if place else ""
        set_in = not block.filled and (line.text[0] == "\u3000" or (_set_in(line.text) and not _set_in(before)))
        if not groups or lines_are_paragraphs or set_in:
            groups.append([])
        groups[-1].append(line)
    for group in groups:
        text, marks = joined_lines(group)
        if text:
            yield Paragraph(text, marks, block.heading)


def _set_in(line: str) -> bool:
    return line.startswith(("  ", "\t", " \t"))


def _gathered(found: Iterable[Paragraph], shortest: int) -> list[Paragraph]:
    """Join a short paragraph with the next under the same heading; the last of them with the one before."""
    joined: list[Paragraph] = []
    for paragraph in found:
        if joined and joined[-1].heading == paragraph.heading and weight(joined[-1].text) < shortest:
            joined[-1] = _one_below(joined[-1], paragraph)
        else:
            joined.append(paragraph)
    kept: list[Paragraph] = []
    for paragraph in joined:  # what is short now has nothing behind it under its heading
        if kept and kept[-1].heading == paragraph.heading and weight(paragraph.text) < shortest:
            kept[-1] = _one_below(kept[-1], paragraph)
        else:
            kept.append(paragraph)
    return kept


def _one_below(first: Paragraph, second: Paragraph) -> Paragraph:
    shift = len(first.text) + 1
    marks = (*first.marks, *((offset + shift, line) for offset, line in second.marks))
    return Paragraph(f"{first.text}\n{second.text}", marks, first.heading)


def cut(text: str, longest: int, shortest: int) -> list[str]:
    """Cut a text at the ends of sentences into pieces of about equal length.

    A sentence longer than `longest` is cut behind a comma or the like, and where there is none between words.

    Args:
        text: Any text.
        longest: Most words of a piece.
        shortest: A last piece below so many words joins the one before.

    Returns:
        Pieces that make up the text when put together: nothing is lost, and no character added.
    """
    whole = weight(text)
    if whole <= longest:
        return [text]
    target = whole / ceil(whole / longest)
    pieces: list[list[str]] = []
    lengths: list[float] = []
    for part in _parts(text, longest, [_sentences, _CLAUSE.split, _TOKEN.findall]):
        length = weight(part)
        # Nearer to the target with this part than without it, and still within bounds?
        if pieces and lengths[-1] + length <= longest and lengths[-1] + length / 2 <= target:
            pieces[-1].append(part)
            lengths[-1] += length
        else:
            pieces.append([part])
            lengths.append(length)
    if len(pieces) > 1 and lengths[-1] < shortest:
        pieces[-2:] = [pieces[-2] + pieces[-1]]
    return ["".join(parts) for parts in pieces]


def _parts(text: str, longest: int, ways: Sequence[Callable[[str], list[str]]]) -> Iterator[str]:
    if weight(text) <= longest or not ways:
        yield text
    else:
        for part in ways[0](text):
            yield from _parts(part, longest, ways[1:])


def _sentences(text: str) -> list[str]:
    # Its English rules know the full stops of other languages, those of Chinese and Japanese among them.
    return list(segment("en", text))
