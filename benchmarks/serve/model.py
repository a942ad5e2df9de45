"""The scripted model of this benchmark: the evaluation engine's, with a latency that can be set.

One process serves every run and every gateway, so that all of them ask the same model.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import subprocess
import sys
from types import TracebackType
from typing import Self

from benchmarks.eval.endpoint import Endpoint, serve
from benchmarks.eval.endpoint import http as response
from benchmarks.eval.measuring import ROOT, MeasurementError

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


class ScriptedModel:
    """The model as a process; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.serve.model"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementError("the scripted model did not start; its message stands above.")
        self.port = int(line)
        self.base_url = f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)

    def answer_after(self, milliseconds: int) -> None:
        """Set the latency of every call from now on."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", f"/latency/{milliseconds}")
        connection.getresponse().read()
        connection.close()


if __name__ == "__main__":
    asyncio.run(serve(SetEndpoint(0.0)))
