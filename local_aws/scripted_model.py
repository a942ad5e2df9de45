"""A model without weights: it answers at once, by the output schema and a hash of what it is asked.

For work with many calls, where what is shown is the product and no model: the same request gets the
same answer, another prompt or record another one, and every answer keeps its schema.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from random import Random
from typing import cast

Json = dict[str, object]

SCRIPTED = "scripted"
"""Its name, which no weights have."""
_WORD = re.compile(r"[^\W_]+(?:[-.,/][^\W_]+)*")
_CHARACTERS_A_TOKEN = 4


class ScriptedModel:
    """Answers chat completions as the local model does, and computes nothing."""

    def complete(self, request: Json, wanted: Callable[[], bool]) -> tuple[int, Json]:
        """Answer a chat completion: HTTP status and body; nobody leaves meanwhile."""
        messages = cast(list[Json], request["messages"])
        text = json.dumps(messages, sort_keys=True)
        draw = Random(hashlib.sha256(text.encode()).digest())  # noqa: S311  (no secret)
        words = _WORD.findall(str(messages[-1].get("content"))) or [SCRIPTED]
        wished = _schema(request)
        answer = draw.choice(words) if wished is None else json.dumps(_value(wished, draw, words))
        tokens = [max(1, len(part) // _CHARACTERS_A_TOKEN) for part in (text, answer)]
        return 200, {
            "id": f"chatcmpl-{draw.getrandbits(64):016x}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": SCRIPTED,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": tokens[0],
                "completion_tokens": tokens[1],
                "total_tokens": sum(tokens),
            },
        }


def _schema(request: Json) -> Json | None:
    match request.get("response_format"):
        case {"json_schema": {"schema": dict() as schema}}:
            return schema
    return None


def _value(schema: object, draw: Random, words: list[str]) -> object:
    """Return a value that keeps `schema`, as far as the product's own tasks have them."""
    match schema:
        case {"const": value}:
            return value
        case {"enum": [*values]}:
            return draw.choice(values)
        case {"anyOf": [*choices]} | {"oneOf": [*choices]}:
            return _value(draw.choice(choices), draw, words)
        case {"type": [*kinds], **rest}:
            return _value({**rest, "type": draw.choice(kinds)}, draw, words)
        case {"type": "object", **rest}:
            properties = cast(Json, rest.get("properties", {}))
            return {name: _value(each, draw, words) for name, each in properties.items()}
        case {"type": "array", **rest}:
            least = cast(int, rest.get("minItems", 1))
            return [_value(rest.get("items"), draw, words) for _ in range(least)]
        case {"type": "integer" | "number", **rest}:
            low = cast(int, rest.get("minimum", 0))
            return draw.randint(low, max(low, cast(int, rest.get("maximum", low + 99))))
        case {"type": "boolean"}:
            return draw.random() < 0.5
        case {"type": "null"}:
            return None
        case {"maxLength": int(most)}:
            return draw.choice(words)[:most]
    return draw.choice(words)
