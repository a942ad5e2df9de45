"""500 answers of the local model in a drawn order by several callers, each computed anew."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from benchmarks.eval.measuring import ROOT, MeasurementError

ANSWERS = 500
CALLERS = 4
_MODEL = "smollm2-135m-instruct"
_TASKS = ("brand", "part-class")
_REQUESTS_A_TASK = 25


def differing(answers: int = ANSWERS, seed: int = 1) -> int:
    """Return how many of `answers` are not the bytes that the same request gave when asked alone.

    What is compared is the whole list of choices: text, tokens, and their log-probabilities.

    Raises:
        MeasurementError: the model does not start.
    """
    requests = [json.dumps(request) for task in _TASKS for request in _requests(task)]
    with tempfile.TemporaryDirectory() as state:
        command = [sys.executable, "-m", "local_aws.local_model", "serve", "--port", "0"]
        with subprocess.Popen(
            [*command, "--state", state, "--remember", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                found = re.search(r"http://127\.0\.0\.1:\d+/v1", line)
                if found is None:
                    raise MeasurementError(f"the local model does not start: {line!r}")
                return _compare(found[0], requests, answers, seed)
            finally:
                process.terminate()


def _compare(url: str, requests: Sequence[str], answers: int, seed: int) -> int:
    alone = {request: _ask(url, request) for request in requests}
    asked = [requests[number % len(requests)] for number in range(answers)]
    random.Random(seed).shuffle(asked)
    with ThreadPoolExecutor(CALLERS) as callers:
        given = callers.map(lambda request: _ask(url, request), asked)
        return sum(answer != alone[request] for request, answer in zip(asked, given, strict=True))


def _ask(url: str, request: str) -> bytes:
    wanted = urllib.request.Request(
        f"{url}/chat/completions",
        data=request.encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(wanted) as response:
        return json.dumps(json.load(response)["choices"]).encode()


def _requests(task: str) -> list[Mapping[str, object]]:
    """Questions after worked examples, as evaluations of `task` ask them."""
    lines = (ROOT / "prompts" / "01-examples" / f"{task}.jsonl").read_text(encoding="utf-8")
    examples = [json.loads(line) for line in lines.splitlines()]
    shots = [example for example in examples if example.get("split") == "shot"][:4]
    scored = [example for example in examples if example.get("split", "eval") == "eval"]
    before: list[dict[str, str]] = [{"role": "system", "content": f"Name the {task}."}]
    for shot in shots:
        before.append({"role": "user", "content": json.dumps(shot["input"])})
        before.append({"role": "assistant", "content": json.dumps(shot["expected"])})
    return [
        {
            "model": _MODEL,
            "messages": [*before, {"role": "user", "content": json.dumps(example["input"])}],
            "temperature": 0,
            "seed": 7,
            "max_tokens": 32,
            "logprobs": True,
        }
        for example in scored[:_REQUESTS_A_TASK]
    ]
