"""What `nerve run` says of itself, and to whom it says it: a person, a program, systemd's journal.

Commands. With `--json` each line on stderr is a JSON object too, as those on stdout are, so that a
collector which takes both has nothing else to parse. Where a stream leads to systemd's journal
(JOURNAL_STREAM, systemd.exec(5)), each line begins with its priority, which the journal takes off
again: `journalctl -p warning` then shows what went wrong.
"""

import json
import os
from collections.abc import Callable, Mapping

import click

from nerve.cli.boundary import explain
from nerve.cli.output import say
from nerve.cli.terminal import Entry, Word
from nerve.cli.wording import json_text, sentence, visible, visible_lines
from nerve.clock import SystemClock, rfc3339
from nerve.errors import NerveError
from nerve.store.batch import SignalEntry

STREAM_VARIABLE = "JOURNAL_STREAM"
_PRIORITIES = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>"}
"""Those of syslog(3)."""


class Announcer:
    """Says what is no entry of the log, on stderr."""

    def __init__(self, *, as_json: bool, environ: Mapping[str, str]) -> None:
        self._as_json = as_json
        self._is_journal = leads_to_journal(2, environ)

    def __call__(self, text: str, level: str = "info", **facts: object) -> None:
        """Say one thing, which may have several lines."""
        if self._as_json:
            told = {"message": text, **{key: fact for key, fact in facts.items() if fact != ""}}
            about = {"source": "nerve", "type": "nerve.said", "level": level}
            at = rfc3339(SystemClock().now_us())
            say(self._prefix(level) + json_text({"id": None, "at": at, **about, "payload": told}))
            return
        head = click.style("warning: ", fg="yellow") if level == "warning" else ""
        for line in visible_lines(text):
            say(self._prefix(level) + head + line)

    def explain(self, error: NerveError, **facts: object) -> None:
        """Say why it ends, and what to do."""
        if self._as_json:
            self(str(error), "error", hint=error.hint, exit_code=int(error.exit_code), **facts)
        elif self._is_journal:
            self(f"nerve: {error}", "error")
            if error.hint:
                self(f"hint: {error.hint}", "error")
        else:
            explain(error)

    def _prefix(self, level: str) -> str:
        return _PRIORITIES[level] if self._is_journal else ""


def leads_to_journal(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Whether a stream is the one by which systemd has connected this process to its journal."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get(STREAM_VARIABLE) == f"{found.st_dev}:{found.st_ino}"


def with_priority(word: Callable[[int | None, Entry], str]) -> Word:
    """Put the priority of an entry before its line."""

    def worded(entry_id: int | None, entry: Entry) -> str:
        level = "info" if isinstance(entry, SignalEntry) else entry.level
        return _PRIORITIES.get(level, _PRIORITIES["info"]) + word(entry_id, entry)

    return worded


def for_journal(entry_id: int | None, entry: Entry) -> str:
    """Word an entry in one line, without what the journal itself knows: time and level."""
    payload = json.loads(entry.payload)
    if isinstance(entry, SignalEntry):
        return f"{entry.sense} #{entry_id}: {sentence(payload)}\n"
    hint = payload.get("hint") if isinstance(payload, dict) else None
    more = f" (hint: {visible(str(hint))})" if hint else ""
    return f"{visible(entry.source)} {visible(entry.type)}: {sentence(payload)}{more}\n"
