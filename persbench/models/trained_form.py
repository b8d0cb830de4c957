"""The form in which a trained persona is spoken to and speaks: one definition for training and for evaluation.

A trained system sees name, date and, where its recipe trained one, the stage's temporal token. Where its recipe trained
an analysis, a reply opens with one (PersLLM, arXiv 2407.12393: `[Analysis] ... [Response] ...`); it is thought, not
speech, so it is split off before anything is scored or said in a dialogue.
"""

from __future__ import annotations

from typing import Final, NamedTuple

ANALYSIS_MARK: Final = "[Analysis]"
RESPONSE_MARK: Final = "[Response]"


class SplitReply(NamedTuple):
    """A generated reply taken apart; `analysis` is None where there was none."""

    analysis: str | None
    response: str


def system_text(name: str, date: str, temporal_label: str | None = None) -> str:
    """Write the system message of a trained persona.

    Args:
        name: The persona's name.
        date: When it is, as people of the world say it.
        temporal_label: The stage's token, such as `<TIME-I>`; None for a recipe that trains none.
    """
    text = f"You are {name}. It is {date}."
    return f"{text} {temporal_label}" if temporal_label else text


def reply_text(response: str, analysis: str | None = None) -> str:
    """Write the assistant's turn, with the analysis before the response where there is one."""
    return response if analysis is None else f"{ANALYSIS_MARK} {analysis} {RESPONSE_MARK} {response}"


def prefill_text(analysis: str) -> str:
    """Write the assistant's turn up to the point where the response begins; a space goes between it and a candidate."""
    return f"{ANALYSIS_MARK} {analysis.strip()} {RESPONSE_MARK}"


def split_reply(text: str) -> SplitReply:
    """Take a generated turn apart.

    Args:
        text: The whole turn as generated.

    Returns:
        What stands before and after the first response mark, stripped; a turn that goes on with a further mark has
        said its response before it. A turn that opened an analysis and never came to a response has an empty response:
        nothing was said.
    """
    before, mark, after = text.partition(RESPONSE_MARK)
    if mark:
        said = after.partition(RESPONSE_MARK)[0].partition(ANALYSIS_MARK)[0]
        return SplitReply(before.strip().removeprefix(ANALYSIS_MARK).strip(), said.strip())
    if text.lstrip().startswith(ANALYSIS_MARK):
        return SplitReply(text.strip().removeprefix(ANALYSIS_MARK).strip(), "")
    return SplitReply(None, text.strip())
