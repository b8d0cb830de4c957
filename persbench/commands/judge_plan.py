"""What a judge would be asked, said before anything is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from persbench.commands.console import next_step, out_console

if TYPE_CHECKING:
    from collections.abc import Mapping

    from persbench.annotators.dry_run import Planned
    from persbench.judging.judge import Judge


def show_plan(judge: Judge, planned: Mapping[str, Planned], cost: float | None) -> None:
    """Print calls, tokens and cost of a dry run."""
    from persbench.annotators.progress import plan_table

    out_console.print(plan_table(planned))
    prices = judge.annotator.tally.prices
    at_most = "" if cost is None or prices is None else f" At most {cost:.4f} {prices.currency}."
    out_console.print(
        "Nothing was asked. Calls are exact, save for one more where an answer is malformed; tokens are estimated, "
        f"four characters each.{at_most}",
        highlight=False,
    )
    out_console.print(judge.signature, highlight=False, markup=False, soft_wrap=True)
    next_step("the same command without --dry-run")
