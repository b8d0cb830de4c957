"""Fingerprints of models: of weights in memory (equal bits, equal fingerprint, on any device), and of their files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from persbench.errors import PersbenchError

if TYPE_CHECKING:
    from collections.abc import Mapping

# The chunk is part of the fingerprint's definition (the sums are taken per chunk): changing it changes every value.
CHUNK_WORDS: Final = 1 << 18
WORD_BYTES: Final = 8
VERSION: Final = b"persbench-fingerprint-1"
# floor(2**64 / golden ratio), as a signed number: spreads consecutive positions over all bits.
SPREAD: Final = 0x9E3779B97F4A7C15 - (1 << 64)
# What a configuration says of how it was written, not of the model.
WRITTEN_BY: Final = ("transformers_version", "_name_or_path")
# The files that a tokenizer of transformers consists of, chat templates among them.
OF_TOKENIZER: Final = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "additional_chat_templates/*",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
)


def model_fingerprint(module: torch.nn.Module) -> str:
    """Hash all parameters and persistent buffers of a model.

    For every name (sorted) the hash takes in name, shape, dtype and, for each chunk of 2 MiB of raw bits read as
    64-bit integers, two wrap-around sums: plain, and weighted by an odd multiplier of the position. Integer sums do
    not depend on the order of addition, so neither threads nor device matter. One changed bit always changes the
    plain sum of its chunk.

    Tied weights count under each of their names, so a model whose output layer is tied equals one where it is a copy.
    Non-persistent buffers (rotary tables and the like) are left out: they follow from the configuration and may be
    computed with different last bits on different devices.

    Args:
        module: Any module with its weights in memory, on any device. A tensor that is not contiguous is copied once.

    Returns:
        64 hexadecimal digits.

    Raises:
        PersbenchError: A parameter has no data (it stands on the meta device).
    """
    return state_fingerprint(module.state_dict())


def state_fingerprint(state: Mapping[str, object]) -> str:
    """Hash named weights as `model_fingerprint` hashes those of a model.

    Args:
        state: What `state_dict()` returns, in any order.

    Raises:
        PersbenchError: A tensor has no data.
    """
    digest = hashlib.sha256(VERSION)
    multipliers: dict[torch.device, torch.Tensor] = {}
    seen: dict[tuple[object, ...], bytes] = {}
    for name, value in sorted(state.items()):
        if not isinstance(value, torch.Tensor):  # a module's own extra state is not weights
            continue
        if value.is_meta:
            raise PersbenchError(f"the weights of {name!r} are not loaded, so the model has no fingerprint. Load it.")
        # One tensor under two names is summed once.
        key = (value.device, value.data_ptr(), value.shape, value.stride(), value.dtype)
        if key not in seen:
            weights = multipliers.setdefault(value.device, _multipliers(value.device))
            seen[key] = _sums(value, weights)
        digest.update(f"{name}\0{tuple(value.shape)}\0{value.dtype}\0".encode())
        digest.update(seen[key])
    return digest.hexdigest()


def folder_digest(model: Path | str, revision: str = "main") -> str:
    """Hash the files of a model: its weights as they stand on disk, and its configuration.

    The SHA-256 takes in, for config.json and every *.safetensors file (sorted by name), the name, a newline, the
    length in bytes, a newline, and the bytes. config.json enters as JSON with sorted keys and without the version of
    transformers that wrote it and the name it was loaded by: these differ between equal models.

    Args:
        model: Folder of a model, or the id of one on a model hub that is in the local cache.
        revision: Of the hub model.

    Returns:
        64 hexadecimal digits.

    Raises:
        PersbenchError: No such folder or cached model, or it has no config.json or no safetensors.
    """
    folder = _local(model, revision)
    config, weights = folder / "config.json", sorted(folder.glob("*.safetensors"))
    if not config.is_file() or not weights:
        raise PersbenchError(
            f"{folder} is no model folder: it lacks {'safetensors' if config.is_file() else config.name}."
        )
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PersbenchError(f"{config} is not valid JSON: {error}. Fetch the model again.") from error
    told = json.dumps({k: v for k, v in settings.items() if k not in WRITTEN_BY}, sort_keys=True).encode()
    digest = hashlib.sha256(f"{config.name}\n{len(told)}\n".encode() + told)
    for path in weights:
        digest.update(f"{path.name}\n{path.stat().st_size}\n".encode())
        with path.open("rb") as stream:
            while block := stream.read(WORD_BYTES * CHUNK_WORDS):
                digest.update(block)
    return digest.hexdigest()


def tokenizer_digest(model: Path | str, revision: str = "main") -> str:
    """Hash the files of a model's tokenizer, with its chat templates, as they stand on disk.

    The SHA-256 takes in, for every such file (sorted by name), the name, a newline, the length in bytes, a newline, and
    the bytes.

    Args:
        model: Folder of a model, or the id of one on a model hub that is in the local cache.
        revision: Of the hub model.

    Returns:
        64 hexadecimal digits; those of no file at all if the folder has no tokenizer.

    Raises:
        PersbenchError: No such folder or cached model, or a file cannot be read.
    """
    folder = _local(model, revision)
    found = {path for pattern in OF_TOKENIZER for path in folder.glob(pattern) if path.is_file()}
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in found):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PersbenchError(f"{path} cannot be read ({error.strerror}). Fetch the model again.") from error
        digest.update(f"{name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def _local(model: Path | str, revision: str) -> Path:
    if Path(model).is_dir():
        return Path(model)
    try:
        return Path(snapshot_download(str(model), revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise PersbenchError(
            f"{str(model)!r} is neither the folder of a model nor the id of one in the hub's local cache."
        ) from error


def _multipliers(device: torch.device) -> torch.Tensor:
    positions = torch.arange(1, CHUNK_WORDS + 1, dtype=torch.int64)
    spread = positions * SPREAD
    # Odd numbers are invertible modulo 2**64: no change of a word is multiplied away.
    return ((spread ^ (spread >> 29)) | 1).to(device)


def _sums(value: torch.Tensor, multipliers: torch.Tensor) -> bytes:
    raw = value.detach().contiguous().reshape(-1).view(torch.uint8)
    sums = [
        torch.stack([words.sum(), (words * multipliers[: words.numel()]).sum()])
        for words in map(_words, torch.split(raw, CHUNK_WORDS * WORD_BYTES))
    ]
    # One transfer per tensor: a transfer per chunk would make a GPU wait thousands of times.
    return torch.stack(sums).cpu().numpy().astype("<i8").tobytes()


def _words(chunk: torch.Tensor) -> torch.Tensor:
    rest = -chunk.numel() % WORD_BYTES
    if rest:
        chunk = torch.nn.functional.pad(chunk, (0, rest))
    elif chunk.storage_offset() % WORD_BYTES:  # a slice of a packed tensor can begin within a word
        chunk = chunk.clone()
    return chunk.view(torch.int64)
