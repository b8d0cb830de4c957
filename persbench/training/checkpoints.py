"""Checkpoints that are whole or of no account: sealed when written, checked before use, never more than two.

transformers writes a checkpoint file by file, so one that a killed process left behind may hold anything. Here each is
sealed by a manifest of its files' hashes (`persbench.models.finished`); one without a true seal is passed over.
"""

from __future__ import annotations

import errno
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safetensors import SafetensorError

from persbench.errors import PersbenchError
from persbench.models.finished import fault_of, seal
from persbench.training.vocabulary import freeze_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT: Final = 2
ADAPTER: Final = "default"
STEP: Final = re.compile(r"^checkpoint-(\d+)$")

Identity = dict[str, "str | int"]


class Checkpointed:
    """What SFT and DPO do alike where TRL's trainers write: a mixin that stands before them.

    Attributes:
        identity: What training and phase a checkpoint belongs to.
    """

    identity: Identity
    args: Any
    model: Any
    accelerator: Any
    state: Any

    def create_model_card(self, *_args: Any, **_more: Any) -> None:
        """Write none: card.json says more."""

    def create_optimizer(self, *args: Any, **more: Any) -> Any:
        """Make the optimiser; a loaded checkpoint may just have made trainable what is not trained.

        In DPO this does not last: after every forward pass of the reference TRL's `use_adapter` calls PEFT's
        `set_adapter`, which makes all of the adapter trainable, the choice of rows too. No optimiser holds the choice,
        so it stays as it is; but from then on its gradient counts in the norm that the recipe's `clip` limits, and DPO
        is clipped more often than by what it trains alone. Left so while the recipes are frozen: to mend it would
        change the weights of `persllm` (and `identity.TRAINER` with them).
        """
        freeze_choice(self.model)
        return super().create_optimizer(*args, **more)  # type: ignore[misc]

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Write the weights alone: an adapter without the embeddings, which are the base's but for the new rows."""
        if self.args.should_save:
            save_weights(self.accelerator.unwrap_model(self.model), Path(str(output_dir)), state_dict)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        with saving(folder):
            if self.args.should_save and folder.exists():  # a broken one of an earlier run
                shutil.rmtree(folder)
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)  # type: ignore[misc]
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                seal(folder, self.identity)
        self.accelerator.wait_for_everyone()


def save_weights(model: Any, folder: Path, state: dict[str, Any] | None = None) -> None:
    """Write a model's weights as safetensors: of an adapter what was trained, of a model without one everything.

    Args:
        model: Not wrapped for several processes any more.
        folder: Made if it is not there.
        state: The gathered weights of a sharded model; None to take them from the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(model, "peft_config"):
        more: dict[str, Any] = {"selected_adapters": [ADAPTER], "save_embedding_layers": False}
        model.save_pretrained(str(folder), state_dict=state, safe_serialization=True, **more)
        (folder / "README.md").unlink(missing_ok=True)  # PEFT's draft of a card
    else:
        model.save_pretrained(str(folder), state_dict=state)


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turn a write that failed into a clear error, and remove what it left.

    Args:
        folder: What is being written.

    Raises:
        PersbenchError: The disk is full, or the folder cannot be written.
    """
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = _write_failure(error)
        if reason is None:
            raise
        shutil.rmtree(folder, ignore_errors=True)
        raise PersbenchError(
            f"{folder} could not be written ({reason}). Checkpoints written before it are kept: make room, and run the "
            "same command again; it goes on from the last one."
        ) from error


def _write_failure(error: Exception) -> str | None:
    """Say what kept a file from being written; None if the error is of another kind."""
    text = str(error)
    if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left" in text or "os error 28" in text:
        return "the disk is full"
    if isinstance(error, OSError | SafetensorError):
        return text
    # torch's own writer says no more than that.
    return "the disk may be full" if "PytorchStreamWriter" in text or "unexpected pos" in text else None


def last_good(folder: Path, identity: Identity, notice: Callable[[str], None]) -> tuple[Path, int] | None:
    """Find the newest whole checkpoint.

    Args:
        folder: Of one phase.
        identity: What its checkpoints must belong to.
        notice: Told of each broken one that is passed over.

    Returns:
        The checkpoint and its step, or None.
    """
    if not folder.is_dir():
        return None
    steps = sorted(((int(m[1]), p) for p in folder.iterdir() if (m := STEP.match(p.name))), reverse=True)
    for step, path in steps:
        fault = fault_of(path, identity, verify=True)
        if fault is None:
            return path, step
        notice(f"passed over the broken checkpoint {path}: {fault}")
    return None
