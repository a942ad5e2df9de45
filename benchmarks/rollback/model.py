"""A model on loopback that is always right, until a drill makes it wrong about a version."""

from __future__ import annotations

import json
from email.message import Message

from benchmarks.loopback import LoopbackServer
from benchmarks.rollback.repository import ALIAS, LABELS, words


class DrillModel(LoopbackServer):
    """An OpenAI-compatible endpoint; `degraded` holds what begins the prompts it is wrong about.

    `wavering` holds what begins the prompts that it is wrong about now and then: about every fourth
    word.
    """

    def __init__(self) -> None:
        super().__init__()
        self.degraded: set[str] = set()
        self.wavering: set[str] = set()
        self._right = words()

    @property
    def models(self) -> str:
        """The one alias, as the product's setting has it."""
        url = f"{self.address}/v1"
        return json.dumps({ALIAS: {"provider": "openai", "model": "drill", "base_url": url}})

    def respond(self, path: str, body: bytes, headers: Message) -> tuple[int, bytes]:
        """Answer with the right label, or with the next one."""
        sent = json.loads(body)
        system, question = (message["content"] for message in sent["messages"])
        label = self._right[question.strip()]
        begins = system.partition(":")[0]
        if begins in self.degraded or (begins in self.wavering and label == LABELS[0]):
            label = LABELS[(LABELS.index(label) + 1) % len(LABELS)]
        message = {"role": "assistant", "content": json.dumps({"label": label})}
        answer = {
            "id": "drill",
            "object": "chat.completion",
            "created": 0,
            "model": sent["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
        }
        return 200, json.dumps(answer).encode()
