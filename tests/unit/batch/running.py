"""Records to run, and a small model that answers them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import cast

from prompt_hub.repository.schema import JsonObject
from tests.unit.batch.servers import completion
from tests.unit.building import catalogue_answer

HEADER = "MPN,Description,Brand,Stock\n"

ROWS = [
    "BAT54,Schottky diode 30 V 200 mA SOT-23,Nexperia,4\n",
    '2N7002,"N-channel MOSFET transistor 60 V 300 mA SOT-23",,9\n',
    "RC0603FR-0710KL,Thick film resistor 10 kΩ 1 % 0603,Yageo,0\n",
]

Lines = list[dict[str, object]]
Run = Callable[..., tuple[int, Lines]]


class Model:
    """A model endpoint that can be told to fall silent or to talk nonsense."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.requests = 0
        self.answers = 10**9
        self.nonsense_about = ""
        self.refused: frozenset[str] = frozenset()
        """Parts about which no request is taken, as if it were too long."""
        self.refusal: tuple[int, object] = (400, {"error": {"message": "too long"}})
        self.silent_about = ""
        """A part about which nothing is answered, as if the model thought for ever."""
        self.silences = 10**9
        """How often that is so."""
        self.seconds = 0.0
        self.misled_by = ""
        """Words of a prompt that makes it take every diode for a resistor."""

    def respond(self, path: str, sent: JsonObject) -> tuple[int, object]:
        messages = cast(list[dict[str, str]], sent["messages"])
        self.requests += 1
        if len(self.asked) >= self.answers:
            return 401, {"error": {"message": "out of order"}}
        time.sleep(self.seconds)
        question = messages[-1]["content"]
        if any(part in question for part in self.refused):
            return self.refusal
        if self.silent_about and self.silent_about in question and self.silences:
            self.silences -= 1
            return 401, {"error": {"message": "still thinking"}}
        self.asked.append(question)
        if self.nonsense_about and self.nonsense_about in question:
            return 200, completion('{"part_class": "\\ud83d"}')
        answer = catalogue_answer(messages)
        misled = self.misled_by and any(self.misled_by in each["content"] for each in messages)
        if misled and answer == {"part_class": "diode"}:
            answer = {"part_class": "resistor"}
        return 200, completion(json.dumps(answer))
