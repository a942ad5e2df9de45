"""Call the service of a running `make up`, so that graphs have something to show.

`python -m docs.dashboard_calls .local --minutes 20` sends the input of each example to its task,
over HTTP as any caller would, one call after another, in waves. One of forty lacks its fields,
which is the caller's fault. At the end it says how many got which status.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

Json = dict[str, object]
WAVE_SECONDS = 600.0
SLOWEST, FASTEST = 6.0, 1.0
"""Seconds between two calls, at the ends of a wave."""
ONE_WITHOUT_FIELDS = 40


def main() -> int:
    """Call for as long as it was said; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.dashboard_calls", description=__doc__)
    parser.add_argument("state", type=Path, help="folder of the local run, such as .local")
    parser.add_argument("--minutes", type=float, default=20.0)
    arguments = parser.parse_args()
    from local_aws.stack import LocalStack
    from local_aws.stack_reader import Observer

    stack = LocalStack(Path.cwd(), arguments.state.resolve())
    url = Observer(stack).url
    began = time.monotonic()
    answered: Counter[int] = Counter()
    for task, fields in _inputs(Path.cwd() / "prompts" / "01-examples"):
        past = time.monotonic() - began
        if past > 60 * arguments.minutes:
            break
        answered[_call(f"{url}/v1/tasks/{task}/run", fields)] += 1
        wave = (1 + math.cos(2 * math.pi * past / WAVE_SECONDS)) / 2
        time.sleep(FASTEST + (SLOWEST - FASTEST) * wave)
    print(", ".join(f"{count} calls answered {code}" for code, count in sorted(answered.items())))
    return 0


def _inputs(examples: Path) -> Iterator[tuple[str, Json]]:
    """Yield a task and what to send it, again and again."""
    found: list[list[tuple[str, Json]]] = []
    for path in sorted(examples.glob("*.jsonl")):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found.append([(path.stem, cast(Json, line["input"])) for line in lines])
    turns = zip(*(itertools.cycle(inputs) for inputs in found), strict=True)
    for number, (task, fields) in enumerate(itertools.chain.from_iterable(turns), start=1):
        yield task, {} if number % ONE_WITHOUT_FIELDS == 0 else fields


def _call(url: str, fields: Json) -> int:
    request = urllib.request.Request(  # noqa: S310 - loopback
        url,
        data=json.dumps({"fields": fields}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
