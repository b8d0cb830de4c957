"""What counts as a word, for lengths, distinct n-grams and surface rules alike."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def words(text: str) -> list[str]:
    """Lower-cased runs of letters and digits of any script; an apostrophe inside a word belongs to it.

    "Don't" is one word, curly apostrophes are written straight, and a mark at either end is dropped ("nothin'").

    Returns:
        The words in order; empty for blank text or bare punctuation.
    """
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def word_spans(text: str) -> list[tuple[int, int, str]]:
    """Where the words of `text` stand: start, end and the word as `words` gives it, in order."""
    return [(found.start(), found.end(), word) for found in _WORD.finditer(text) for word in words(found[0])[:1]]


# Closed-class words. Not scikit-learn's list, which drops content words such as "fire", "bill" and "system".
FUNCTION_WORDS = frozenset(
    words("""
    a an the this that these those some any each every all both either neither no such what which who whom whose
    i me my mine myself you your yours yourself he him his himself she her hers herself it its itself
    we us our ours ourselves they them their theirs themselves one
    am is are was were be been being do does did doing done have has had having
    will would shall should can could may might must ought
    and or but nor so yet if then than because while though although unless until as since whether
    of in on at by for with about against between into through during before after above below to from up down
    out off over under again here there when where why how not only own same too very just also
    i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll
    we're we've we'd we'll they're they've they'd they'll that's there's what's who's let's
    don't doesn't didn't isn't aren't wasn't weren't hasn't haven't hadn't won't wouldn't shan't shouldn't
    can't cannot couldn't mustn't mightn't
    """),
)


def content_words(text: str) -> list[str]:
    """The words of `text` that are not English function words, in order, repeats kept."""
    return [word for word in words(text) if word not in FUNCTION_WORDS]
