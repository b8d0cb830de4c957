"""Plays the fake pack's conversations in a process of its own and dies by SIGKILL when a turn was just saved.

python killed_talk.py OUT TURN
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from unittest.mock import patch

from talking_fakes import TalkingFake, talk_settings

from persbench.conversation import run
from persbench.conversation.record_files import save_conversations
from persbench.conversation.records import ConversationRecord


def main(out: Path, turn: int) -> None:
    def save_and_die(path: Path, record: ConversationRecord) -> None:
        save_conversations(path, record)
        if max(len(each.turns) for each in record.conversations) == turn + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    with patch.object(run, "save_conversations", save_and_die):
        run.converse(talk_settings(out), lambda _: None, lm=TalkingFake())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
