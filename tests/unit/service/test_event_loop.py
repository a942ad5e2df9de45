"""Whatever a caller sends, the event loop that all callers share is never held up by it."""

from __future__ import annotations

import asyncio.events
import gc
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from prompt_hub.core.json_strict import MAX_VALUES
from prompt_hub.repository.input_check import LONGEST_NAME, MOST_PROBLEMS
from prompt_hub.service.http import MAX_BODY_BYTES
from tests.unit.service.serving import FIELDS, RUN, Running

LONGEST_STEP_SECONDS = 0.001
MOST_TIMES_A_RECORD = 2.0
"""On a busy machine a plain record itself takes a millisecond: then nothing takes twice as long."""
TRIES = 6
"""A step is as long as the shortest of so many: what else the machine does is not its work."""
START = '{"fields": {"part_number": "R1", "title": '


@dataclass
class LoopSteps:
    """Times every step of every event loop, by the processor time of the thread it runs in.

    So neither other threads nor other processes count, and a step that waits costs nothing.
    """

    longest: float = 0.0
    what: str = ""
    run: Callable[[asyncio.events.Handle], None] = field(default=asyncio.events.Handle._run)

    def __call__(self, handle: asyncio.events.Handle) -> None:
        began = time.thread_time()
        self.run(handle)
        took = time.thread_time() - began
        if took > self.longest:
            self.longest, self.what = took, repr(handle)

    def begin(self) -> None:
        self.longest, self.what = 0.0, ""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopSteps]:
    """Every step of the service's loop; as in the service, old objects are no work for `gc`."""
    watch = LoopSteps()
    monkeypatch.setattr(asyncio.events.Handle, "_run", lambda handle: watch(handle))
    gc.collect()
    gc.freeze()
    yield watch
    gc.unfreeze()


def filled(start: str, piece: str, end: str, size: int = MAX_BODY_BYTES) -> str:
    """Repeat `piece`, commas between, as often as it goes into a body of `size` bytes."""
    times = (size - len(start) - len(end)) // (len(piece) + 1)
    return start + ",".join([piece] * times) + end


def text(piece: str) -> str:
    return START + '"' + piece * ((MAX_BODY_BYTES - 100) // len(piece.encode())) + '"}}'


NAMES = ",".join(f'"{number:x}": 0' for number in range(20_000))
FEW_NAMES = ",".join(f'"{number:x}": 0' for number in range(MAX_VALUES // 2 - 10))
CORPUS = {
    "the record of a person": json.dumps({"fields": FIELDS}),
    "a long text": text("x"),
    "a long text of commas": text(","),
    "a long text of escapes": text("\\u0041"),
    "a long text of control characters": text("\\u0001"),
    "a long text outside ASCII": text("µ"),
    "a long text that never ends": text('\\"'),
    "many empty texts": filled(START + "[", '""', "]}}"),
    "many whole numbers": filled(START + "[", "1", "]}}"),
    "many numbers": filled(START + "[", "1.5", "]}}"),
    "long numbers": filled(START + "[", "9" * 4300, "]}}"),
    "many lists": filled(START + "[", "[]", "]}}"),
    "many objects": filled(START + "[", "{}", "]}}"),
    "as many numbers as may be": START + "[" + ",".join(["1.5"] * (MAX_VALUES - 20)) + "]}}",
    "as many lists as may be": START + "[" + ",".join(["[]"] * (MAX_VALUES // 2 - 20)) + "]}}",
    "as many names as may be": '{"fields": {' + FEW_NAMES + "}}",
    "one name twice": '{"fields": {' + FEW_NAMES + ', "0": 1}}',
    "many names": '{"fields": {' + NAMES + "}}",
    "many names, one twice": '{"fields": {' + NAMES + ', "0": 1}}',
    "one name many times": filled('{"fields": {', '"a":0', "}}"),
    "a long name": '{"fields": {"' + "n" * 250_000 + '": 0}}',
    "nested deep": START + "[" * 960 + "]" * 960 + "}}",
    "nested without end": START + "[" * 250_000,
    "white space": START + " " * 250_000 + "1}}",
    "no JSON": "x" * MAX_BODY_BYTES,
    "too long": " " * (MAX_BODY_BYTES + 1),
}


def send(running: Running, body: bytes) -> tuple[int, bytes]:
    request = urllib.request.Request(running.url + RUN, data=body, method="POST")
    try:
        answer = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.read()


def longest_step(
    running: Running, steps: LoopSteps, body: bytes, limit: float = LONGEST_STEP_SECONDS
) -> tuple[float, str]:
    """Return the longest step that answering `body` took, in the best of some tries."""
    best = (float("inf"), "")
    for _ in range(TRIES):
        steps.begin()
        send(running, body)
        # The last step of an answer ends after the answer was read: one more is behind it.
        running.get("/healthz")
        best = min(best, (steps.longest, steps.what))
        if best[0] < limit:
            break
    return best


def limit_here(running: Running, steps: LoopSteps) -> float:
    """Return how long a step may take on this machine now."""
    record = json.dumps({"fields": FIELDS}).encode()
    send(running, record)  # what only the first one pays for
    plain, _ = longest_step(running, steps, record)
    return max(LONGEST_STEP_SECONDS, MOST_TIMES_A_RECORD * plain)


def mutants(number: int) -> Iterator[bytes]:
    """Yield bodies of all sorts, each damaged somewhere."""
    draw = random.Random(9)
    bodies = [body.encode() for body in CORPUS.values()]
    for _ in range(number):
        body = bytearray(draw.choice(bodies)[:MAX_BODY_BYTES])
        at = draw.randrange(len(body))
        piece = draw.choice([b"", b'"', b"\\", b"[", b"}", b",", b"\xff", b'{"a":'])
        body[at : at + draw.choice([0, 1, len(piece)])] = piece * draw.choice([1, 2, 1000])
        yield bytes(body[:MAX_BODY_BYTES])


@pytest.mark.parametrize("provider", [200, 400])
def test_no_request_holds_up_the_event_loop(
    running: Running, steps: LoopSteps, provider: int
) -> None:
    limit = limit_here(running, steps)
    running.provider.status = provider
    slow = {}
    for name, body in CORPUS.items():
        took, what = longest_step(running, steps, body.encode(), limit)
        if took >= limit:
            slow[name] = f"{took * 1000:.2f} ms in {what}"
    assert slow == {}


def test_no_damaged_request_holds_up_the_event_loop(running: Running, steps: LoopSteps) -> None:
    limit = limit_here(running, steps)
    slow = {}
    for number, body in enumerate(mutants(100)):
        took, what = longest_step(running, steps, body, limit)
        if took >= limit:
            slow[number] = f"{body[:60]!r}: {took * 1000:.2f} ms in {what}"
    assert slow == {}


def test_many_marks_inside_a_text_are_no_values(running: Running) -> None:
    found, answer, _ = running.run("part-class", {**FIELDS, "title": ',:[{"' * 10_000})
    assert (found, answer["output"]) == (200, {"part_class": "resistor"})


@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("many numbers", 413, f"more than {MAX_VALUES} names and values"),
        ("many names", 413, f"more than {MAX_VALUES} names and values"),
        ("one name many times", 413, f"more than {MAX_VALUES} names and values"),
        ("as many names as may be", 422, "is not a field of this task"),
        ("one name twice", 400, "the key '0' twice"),
        ("nested deep", 400, "nested more than 60 deep"),
        ("a long name", 422, "is not a field of this task"),
    ],
)
def test_a_large_request_is_answered_in_few_words(
    running: Running, name: str, status: int, says: str
) -> None:
    found, answer, _ = running.post(RUN, CORPUS[name])
    assert found == status
    said = json.dumps(answer, ensure_ascii=False)
    assert says in said
    assert len(said) < 2 * MOST_PROBLEMS * (LONGEST_NAME + 50)
    assert len(answer.get("error", {}).get("fields", [])) <= MOST_PROBLEMS
