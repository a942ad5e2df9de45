"""The model of `prompt-hub demo`: it applies the rules that a prompt states, and knows no other.

So a prompt's wording decides what it scores, as with a real model, at once and each time alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.llm.providers.registry import SCRIPTED
from prompt_hub.llm.response import ModelResponse, Usage
from prompt_hub.repository.schema import JsonObject

if TYPE_CHECKING:
    from collections.abc import Sequence

ALIAS = "catalogue"
_RULE = re.compile(r"(?:^- |\. )([^.:\n]+): (\w+)", re.MULTILINE)


class RuleReader:
    """Answers with the class of the first rule, `SIGN, SIGN: CLASS`, of which a record has a sign.

    Rules are sentences or items of a list. `reads_lists` is what a provider changes when it puts
    another model behind the same name.
    """

    def __init__(self) -> None:
        self.reads_lists = True

    async def complete(
        self,
        model: ModelConfig,
        messages: list[dict[str, str]],
        parameters: Mapping[str, float | int | str],
        schema: JsonObject,
    ) -> ModelResponse:
        """Answer at once."""
        record = messages[-1]["content"]
        answers = (
            name for signs, name in self._rules(messages[0]["content"]) if _has(record, signs)
        )
        answer = next(answers, "resistor")
        return ModelResponse(
            text=json.dumps({"part_class": answer}),
            model="rule-reader-1" if self.reads_lists else "rule-reader-2",
            usage=Usage(input_tokens=0, output_tokens=0),
        )

    async def close(self) -> None:
        """Give back nothing: there is no connection."""

    def _rules(self, prompt: str) -> Iterator[tuple[Sequence[str], str]]:
        lines = prompt.splitlines()
        read = [line for line in lines if self.reads_lists or not line.startswith("- ")]
        for signs, name in _RULE.findall("\n".join(read)):
            yield signs.split(", "), name


def _has(record: str, signs: Sequence[str]) -> bool:
    return any(sign in record for sign in signs)


def aliases() -> ModelAliases:
    """Return what the demo's alias means."""
    # Not validated: no alias of a user's may be scripted.
    model = ModelConfig.model_construct(alias=ALIAS, provider=SCRIPTED, model="rule-reader")
    return ModelAliases({ALIAS: model})
