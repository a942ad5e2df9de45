"""The one model that both programs ask: answers by a configuration's rules, keeps what it was sent.

`POST /NUMBER/SIDE/v1/chat/completions`. The answer's count of input tokens is the call's number
within its configuration and side, so each result of either program names its own request.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from email.message import Message as Headers

from benchmarks.loopback import LoopbackServer
from benchmarks.parity_promptfoo.configuration import Configuration, Message

ANSWER = "answer"
"""The field that holds a plain text's answer after the import."""


class ScriptedEndpoint(LoopbackServer):
    """The endpoint."""

    def __init__(self, configurations: Mapping[int, Configuration]) -> None:
        super().__init__()
        self._configurations = configurations
        self._lock = threading.Lock()
        self._calls: defaultdict[tuple[int, str], list[list[Message]]] = defaultdict(list)

    def url(self, number: int, side: str) -> str:
        """Return the base URL for one configuration and program."""
        return f"{self.address}/{number}/{side}/v1"

    def messages(self, number: int, side: str, call: int) -> list[Message] | None:
        """Return what the call of this number sent, None where there was none."""
        calls = self._calls[number, side]
        return calls[call - 1] if 1 <= call <= len(calls) else None

    def respond(self, path: str, body: bytes, headers: Headers | None = None) -> tuple[int, bytes]:
        """Return status and body for one request."""
        _, number, side, *rest = path.split("/")
        if rest[-2:] != ["chat", "completions"]:
            return 404, b'{"error": {"message": "chat completions only"}}'
        request = json.loads(body)
        messages: list[Message] = request["messages"]
        if not isinstance(messages, list) or not all(isinstance(item, dict) for item in messages):
            # A prompt that is JSON once it is rendered, such as `5`, is sent as it stands.
            return 400, b'{"error": {"message": "messages are a list of objects"}}'
        with self._lock:
            calls = self._calls[int(number), side]
            calls.append(messages)
            call = len(calls)
        text = self._configurations[int(number)].answer(messages)
        if _wants_an_answer_field(request.get("response_format")):
            text = json.dumps({ANSWER: text}, ensure_ascii=False)
        message = {"role": "assistant", "content": text}
        response = {
            "id": f"call-{call}",
            "object": "chat.completion",
            "created": 1,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": call, "completion_tokens": 1, "total_tokens": call + 1},
        }
        return 200, json.dumps(response).encode()


def _wants_an_answer_field(response_format: object) -> bool:
    """Say whether the importer's own contract for plain texts is asked for."""
    found = response_format
    for key in ("json_schema", "schema", "properties"):
        found = found.get(key) if isinstance(found, dict) else None
    return isinstance(found, dict) and list(found) == [ANSWER]
