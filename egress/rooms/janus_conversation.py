"""The envelope of Janus's messages: session, secrets, transactions and who waits for which answer; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from egress.model.media import Nanos
from egress.rooms.janus_news import Message

Answer = Callable[[Mapping[str, Any]], None]


class Conversation:
    """Makes requests of one session, and finds whose answer a message is. `session` is None until it is known."""

    def __init__(self, token: str | None, api_secret: str | None) -> None:
        self.session: int | None = None
        self._token = token
        self._api_secret = api_secret
        self._number = 0
        self._asked: dict[str, tuple[Answer, Nanos]] = {}

    def ask(self, message: Message, answer: Answer | None, now: Nanos) -> Message:
        """`message` as it is sent; `answer` gets the server's, None: nobody cares."""
        self._number += 1
        transaction = f"egress-{self._number}"
        whole = {**message, "transaction": transaction}
        if self.session is not None:
            whole["session_id"] = self.session
        if self._api_secret is not None:
            whole["apisecret"] = self._api_secret
        if self._token is not None:
            whole["token"] = self._token
        if answer is not None:
            self._asked[transaction] = (answer, now)
        return whole

    def answer_of(self, message: Mapping[str, Any]) -> Answer | None:
        """Who waits for this message; it is the whole answer, not only the word that there will be one."""
        transaction = message.get("transaction")
        if message.get("janus") not in ("success", "error", "event") or not isinstance(transaction, str):
            return None
        found = self._asked.pop(transaction, None)
        return found[0] if found is not None else None

    def waited(self, now: Nanos) -> Nanos:
        """How long the oldest question has been unanswered."""
        return max((now - since for _, since in self._asked.values()), default=0)

    def forget(self) -> None:
        """Wait for no answer any more."""
        self._asked.clear()
