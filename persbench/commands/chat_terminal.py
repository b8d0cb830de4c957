"""The terminal's side of a chat: reads what a person types, shows what the persona says while it is said."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from persbench.commands.console import err_console, out_console
from persbench.commands.interrupts import heard, stoppable
from persbench.conversation.chat import Chat, Streaming, harmless
from persbench.errors import PersbenchError, UnknownNameError
from persbench.records import write_atomic

if TYPE_CHECKING:
    from persbench.conversation.asks import Ask, Piece
    from persbench.packs.schema import Stage

LONGEST: Final = 20_000  # characters of one message
COMMANDS: Final = {
    "/stage": "/stage [STAGE]  speak with the persona at another stage of its life; the conversation begins anew",
    "/again": "/again          have the last reply once more, said differently",
    "/save": "/save FILE      save the conversation: FILE.json for programs, any other name for people",
    "/quit": "/quit           end, as Ctrl-D does, or Ctrl-C while nobody speaks (it cuts short what is being said)",
}


class Terminal:
    """One chat in a terminal, or from a pipe.

    Args:
        chat: The conversation.
        speakers: Who replies.
        name: The persona's.
        stages: Those of the persona, in order.

    Attributes:
        asks: Whether somebody types; otherwise messages come from a pipe, one a line.
        failed: How many replies could not be had.
    """

    def __init__(self, chat: Chat, speakers: Streaming, name: str, stages: Sequence[Stage]) -> None:
        self.chat, self.speakers, self.name, self.stages = chat, speakers, harmless(name), stages
        self.asks = sys.stdin.isatty()
        self.failed = 0
        self._saved: set[Path] = set()

    def run(self) -> None:
        """Talk until the person ends it; Ctrl-C does so at any moment, except that it first cuts short who speaks."""
        try:
            self._talk()
        except KeyboardInterrupt:
            self._write("\n")

    def _talk(self) -> None:
        for stream in (sys.stdin, sys.stdout):
            if hasattr(stream, "reconfigure"):  # bytes that are no text must not end the chat
                cast("Any", stream).reconfigure(errors="replace")
        if self.asks:
            with suppress(ImportError):  # some builds of Python have none
                import readline  # noqa: F401 - gives input() line editing and a history
        self._note(f"{self.name}, {self._stage(self.chat.voice.stage).date}. /help lists commands; Ctrl-D ends.")
        while (line := self._read()) is not None:
            if line.startswith("/"):
                if not self._command(line):
                    return
            elif len(line) > LONGEST:
                self._complain(f"that has {len(line):,} characters; a message has at most {LONGEST:,}")
            elif line:
                self._speak(self.chat.say(line))

    def _read(self) -> str | None:
        """Return the next message, without blank ends; None at the end."""
        try:
            with heard():
                if self.asks:
                    return input("you: ").strip()
                line = sys.stdin.readline()
        except EOFError:
            self._write("\n")
            return None
        if not line:
            return None
        self._write(f"you: {harmless(line.strip())[:LONGEST]}\n")
        return line.strip()

    def _speak(self, ask: Ask) -> None:
        """Show a reply while it is said; Ctrl-C cuts it short, and what was said until then counts."""
        out_console.print(self.name, style="bold cyan", end="", markup=False, highlight=False, emoji=False)
        self._write(": ")
        said: list[str] = []
        problem = ""
        with stoppable() as is_stopped:
            try:
                with closing(self.speakers.aloud(ask)) as pieces, closing(self._shown(pieces, said)) as steps:
                    for _ in steps:
                        if is_stopped():
                            break
            except BrokenPipeError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a model may raise: the conversation is not lost
                self.failed += 1
                problem = str(error) if isinstance(error, PersbenchError) else f"{type(error).__name__}: {error}"
        self._write("\n")
        if problem:
            self._complain(problem)
        elif is_stopped():  # also where the last word was just being said: a key that is pressed has an answer
            self._note("stopped; /again has it said anew")
        elif not "".join(said).strip():
            self.failed += 1
            self._complain("the model said nothing; /again asks once more")
        self.chat.hear("".join(said))

    def _shown(self, pieces: Iterator[Piece], said: list[str]) -> Generator[None, None, None]:
        """Show pieces one by one: what is thought dimmed, and beside the transcript of a chat that is piped."""
        thinks = False
        try:
            for piece in pieces:
                if piece.is_thought:
                    self._think(piece.text if thinks else f"(thinks: {piece.text}")
                    thinks = True
                else:
                    if thinks:
                        self._think(")\n")
                        thinks = False
                    said.append(piece.text)
                    self._write(harmless(piece.text))
                yield
        finally:
            if thinks:  # it was stopped, failed, or came to nothing that is said
                self._think(")\n")

    @staticmethod
    def _think(text: str) -> None:
        err_console.print(
            harmless(text), style="dim", end="", markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    def _command(self, line: str) -> bool:
        """Do what a line with a slash says; False where it ends the chat."""
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word == "/quit":
            return False
        try:
            if word == "/stage":
                self._move(rest)
            elif word == "/again":
                self._again()
            elif word == "/save":
                self._save(rest)
            elif word == "/help":
                self._note("\n".join(COMMANDS.values()))
            else:
                raise UnknownNameError("command", word, [*COMMANDS, "/help"])
        except PersbenchError as error:
            self._complain(str(error))
        return True

    def _move(self, stage_id: str) -> None:
        if not stage_id:
            here = self.chat.voice.stage
            for stage in self.stages:
                self._note(f"{'*' if stage.id == here else ' '} {stage.id}  {stage.date}")
            return
        stage = self._stage(stage_id)
        self.chat.move(stage.id)
        self._note(f"{self.name}, {stage.date}, who has heard nothing yet; /again asks your last question here")

    def _stage(self, stage_id: str) -> Stage:
        for stage in self.stages:
            if stage.id == stage_id:
                return stage
        raise UnknownNameError("stage", stage_id, [stage.id for stage in self.stages])

    def _again(self) -> None:
        ask = self.chat.again()
        if ask is None:
            raise PersbenchError("nothing was asked yet: say something first.")
        self._speak(ask)

    def _save(self, text: str) -> None:
        if not text:
            raise PersbenchError("/save FILE: name the file.")
        if not self.chat.messages:
            raise PersbenchError("nothing was said yet: there is nothing to save.")
        try:
            path = Path(text).expanduser()
            if path.exists() and path not in self._saved:
                raise PersbenchError(f"{path} is already there: name another file.")
            content = self.chat.as_json() if path.suffix == ".json" else self.chat.as_markdown(self.name)
            write_atomic(path, content.encode("utf-8", "replace"))
        except (OSError, ValueError, RuntimeError) as error:  # no file can have such a name
            raise PersbenchError(f"cannot write {text[:200]}: {error}. Name another file.") from error
        self._saved.add(path)
        self._note(f"saved {path}")

    def _write(self, text: str) -> None:
        stdout: TextIO = sys.stdout
        stdout.write(text)
        stdout.flush()

    def _note(self, text: str) -> None:
        err_console.print(text, style="dim", highlight=False, markup=False, emoji=False, soft_wrap=True)

    def _complain(self, text: str) -> None:
        err_console.print(harmless(text), style="red", highlight=False, markup=False, emoji=False, soft_wrap=True)
