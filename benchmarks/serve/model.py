"""The scripted model of this benchmark: the evaluation engine's, with a latency that can be set.

One process serves every run and every gateway, so that all of them ask the same model.
"""

from __future__ import annotations

import asyncio
import re

from benchmarks.eval.endpoint import Endpoint, serve
from benchmarks.eval.endpoint import http as response
from benchmarks.eval.measuring import ModelProcess

_LATENCY = re.compile(r"/latency/(\d+)")


class SetEndpoint(Endpoint):
    """Answers after as many milliseconds as `POST /latency/50` said last."""

    def control(self, method: str, path: str) -> bytes:
        """Take a new latency, and whatever the other one takes."""
        found = _LATENCY.fullmatch(path)
        if method == "POST" and found:
            self._latency = int(found[1]) / 1000
            return response(200, b"{}")
        return super().control(method, path)


class ScriptedModel(ModelProcess):
    """The model as a process."""

    def __init__(self) -> None:
        super().__init__("benchmarks.serve.model")

    def answer_after(self, milliseconds: int) -> None:
        """Set the latency of every call from now on."""
        self.ask("POST", f"/latency/{milliseconds}")


if __name__ == "__main__":
    asyncio.run(serve(SetEndpoint(0.0)))
