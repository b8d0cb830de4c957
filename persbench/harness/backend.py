"""What persbench must know of an lm-eval model: what it can do, which weights it has, whether it carries an adapter."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import lm_eval.models  # noqa: F401 - registers lm-eval's model types
import torch
from lm_eval.api.registry import MODEL_REGISTRY, get_model
from lm_eval.models.openai_completions import LocalChatCompletion

from persbench.errors import PersbenchError, UnknownNameError
from persbench.models.fingerprint import state_fingerprint
from persbench.provenance import digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SERVED: ContextVar[Any] = ContextVar("served model", default=None)
WEIGHTS_BACKENDS: Final = ("hf", "persbench-prefix")  # models loaded here, from a folder or a hub
GENERATION_GROUP: Final = "persbench_gen"
# Names by which PEFT's layers hold parameters of their own, and the modules that they wrap.
PEFT_OWN: Final = {"trainable_tokens_delta", "trainable_tokens_original", "modules_to_save"}
PEFT_PREFIXES: Final = ("lora_", "ia3_", "vera_", "hada_", "lokr_", "oft_", "boft_", "hra_")
PEFT_BETWEEN: Final = {"base_layer", "original_module", "token_adapter"}
_DESCRIBED: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


@contextmanager
def serving(lm: Any) -> Iterator[None]:
    """Let tasks reach the model where no bound chat template leads to it, as with a model that has none."""
    token = _SERVED.set(lm)
    try:
        yield
    finally:
        _SERVED.reset(token)


def served_model() -> Any:
    """Return the model of the enclosing `serving`, or None."""
    return _SERVED.get()


def load_backend(
    name: str,
    model: str,
    *,
    model_args: dict[str, Any],
    dtype: str,
    device: str | None,
    batch_size: int | str,
    trust_remote_code: bool,
) -> Any:
    """Load a model through lm-eval, from safetensors alone and without remote code unless the user says so.

    Args:
        name: lm-eval model type: `persbench-prefix`, `hf`, `local-chat-completions`, ...
        model: Local folder, hub id, or an endpoint's model name.
        model_args: Further arguments of that model type.
        dtype: `auto`, `float32`, `bfloat16`, ... (weights loaded here only).
        device: `cpu`, `cuda:0`, ... or None for the first accelerator, else the CPU.
        batch_size: Requests in a batch, or `auto`.
        trust_remote_code: Let the model's own code run (and its pickled weights be read).

    Raises:
        PersbenchError: The model cannot be loaded; says both ways to supply one.
        UnknownNameError: lm-eval knows no such model type.
    """
    try:
        kind = get_model(name)
    except (ValueError, KeyError):
        raise UnknownNameError("lm-eval model type", name, sorted(MODEL_REGISTRY)) from None
    if name in WEIGHTS_BACKENDS:
        arguments: dict[str, Any] = {"pretrained": model, "dtype": dtype, "trust_remote_code": trust_remote_code}
        arguments["softmax_dtype"] = "float32"  # see `rounds_likelihoods`
        if not trust_remote_code:
            arguments["use_safetensors"] = True
    else:
        arguments = {"model": model}
    try:
        runtime = {"batch_size": batch_size, "device": device or ("cuda:0" if torch.cuda.is_available() else "cpu")}
        return kind.create_from_arg_obj({**arguments, **model_args}, runtime)
    except (OSError, ValueError, ImportError, RuntimeError, AssertionError) as error:
        raise PersbenchError(_cannot_load(model, error)) from error


def _cannot_load(model: str, error: Exception) -> str:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    folder = Path(model)
    if folder.is_dir() and not list(folder.glob("*.safetensors")) and list(folder.glob("*.bin")):
        first = (
            "its weights are pickled (*.bin), which persbench does not read; "
            "convert them to safetensors, or add --trust-remote-code"
        )
    return (
        f"cannot load model {model!r}: {first}\n"
        "Give --model a local folder with a transformers model or a hub id, "
        "or run `persbench model fetch` and leave --model out."
    )


def adapter_of(lm: Any) -> str | None:
    """Return the adapter folder or name of a model with a PEFT adapter, else None."""
    peft = getattr(lm, "peft", None)
    if peft:
        return str(peft)
    return type(lm.model).__name__ if hasattr(getattr(lm, "model", None), "peft_config") else None


def backend_fingerprint(lm: Any) -> str:
    """Identify all that decides the last digit of a log-likelihood, as `describe_backend` lists it.

    Returns:
        Sixteen hex digits. Endpoints, whose weights nobody sees, are known by address and model name.
    """
    return digest(describe_backend(lm), 16)


def describe_backend(lm: Any) -> dict[str, Any]:
    """Return the facts behind the fingerprint, for records: no path, no key, no credential.

    They are found once a model: its weights are read whole to hash them.
    """
    try:
        return _DESCRIBED[lm]
    except KeyError:
        return _DESCRIBED.setdefault(lm, _describe(lm))


def _describe(lm: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "backend": type(lm).__name__,
        "batch_size": str(getattr(lm, "batch_size_per_gpu", getattr(lm, "batch_size", ""))),
    }
    module: Any = getattr(lm, "model", None)
    if hasattr(module, "named_parameters"):
        state = module.state_dict() if adapter_of(lm) is None else base_state(module, lm.config)
        dtype = next((value.dtype for value in state.values() if value.is_floating_point()), module.dtype)
        return facts | {
            "weights": state_fingerprint(state),
            "dtype": str(dtype).removeprefix("torch."),
            "softmax_dtype": str(getattr(lm, "softmax_dtype", None)).removeprefix("torch."),
            "max_length": lm.max_length,
            "device": str(lm.device).split(":")[0],
            "torch": torch.__version__,
            "adapter": False,  # these facts are the base's, which its anchors are known by
        }
    return facts | {
        "model": str(module or ""),
        "fingerprint": str(getattr(lm, "fingerprint", getattr(lm, "base_url", ""))),
    }


def base_state(module: Any, config: Any) -> dict[str, torch.Tensor]:
    """Return the weights that a model had before PEFT put an adapter on it, under their own names.

    The adapter's own parameters are left out, what PEFT put between a module and its weights is taken out of the names,
    and the embeddings are cut to the base's vocabulary. Where an adapter has overwritten weights of the base, the
    result is not the base's, and neither is its fingerprint.

    Args:
        module: A PEFT model.
        config: Of the base, as it was loaded.
    """
    bare = module.get_base_model() if hasattr(module, "get_base_model") else module
    rows = config.get_text_config().vocab_size
    names = {id(each): name for name, each in bare.named_modules()}
    tables = {
        names[id(table)] for table in (bare.get_input_embeddings(), bare.get_output_embeddings()) if table is not None
    }
    state: dict[str, torch.Tensor] = {}
    for name, value in bare.state_dict().items():
        parts = name.split(".")
        if any(part in PEFT_OWN or part.startswith(PEFT_PREFIXES) for part in parts):
            continue
        cut = any(name.startswith(f"{table}.") for table in tables) and value.shape[:1] > (rows,)
        state[".".join(part for part in parts if part not in PEFT_BETWEEN)] = value[:rows] if cut else value
    return state


def offers_loglikelihoods(lm: Any) -> bool:
    """Whether the model scores given text; chat endpoints do not, and say so only by raising."""
    return not isinstance(lm, LocalChatCompletion) and not getattr(lm, "generation_only", False)


def rounds_likelihoods(lm: Any) -> bool:
    """Whether lm-eval's `hf` rounds log-likelihoods: it takes the softmax, and sums, in the model's own half precision.

    In bfloat16 a log-probability then has three digits, and a sum above 128 nats goes in steps of a whole nat.
    """
    dtype = getattr(getattr(lm, "model", None), "dtype", None)
    return dtype in {torch.bfloat16, torch.float16} and getattr(lm, "softmax_dtype", dtype) in {None, dtype}


def require_loglikelihoods(lm: Any, tasks: Sequence[str]) -> None:
    """Refuse tasks that a model without log-likelihoods cannot run.

    Raises:
        PersbenchError: Names the tasks, and the group that such a model can run.
    """
    if tasks and not offers_loglikelihoods(lm):
        raise PersbenchError(
            f"{type(lm).__name__} offers no log-likelihoods, which {', '.join(tasks)} "
            f"need{'s' if len(tasks) == 1 else ''}. Run --tasks {GENERATION_GROUP} on it: that group generates only."
        )
