"""An outage is waited out in turns, and one bad record holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from prompt_hub.batch.backends import RecordAnswer, VersionInfo
from prompt_hub.batch.patience import PatientBackend
from prompt_hub.llm.errors import ModelUnavailableError
from prompt_hub.repository.schema import JsonObject

VERSION = VersionInfo(task="t", version="1.0.0", sha256="0" * 64, release=None, model="m")


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Provider:
    """Answers a record unless `fails` says how it does not."""

    answered_by = VERSION

    def __init__(self, fails: Callable[[str], ModelUnavailableError | None]) -> None:
        self._fails = fails
        self.asked: list[str] = []

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        name = str(fields["name"])
        self.asked.append(name)
        await asyncio.sleep(0)
        if (error := self._fails(name)) is not None:
            raise error
        return RecordAnswer(output={"name": name}, error=None, answered_by=VERSION)


class _Slow(Provider):
    """Another provider, which thinks about the record `late` until it is told to stop."""

    def __init__(self, other: Provider, until: asyncio.Event) -> None:
        self._other = other
        self._until = until

    async def answer(self, fields: JsonObject, record: int = 0) -> RecordAnswer:
        if fields["name"] == "late":
            await self._until.wait()
        return await self._other.answer(fields, record)


def ask(
    provider: Provider, clock: Clock, names: str, *, patience: float = 900, example: str = ""
) -> tuple[list[RecordAnswer | BaseException], list[str]]:
    """Ask about all names at once; what came out, and what people were told."""
    said: list[str] = []

    async def go() -> list[RecordAnswer | BaseException]:
        backend = PatientBackend(
            provider,
            patience=patience,
            say=said.append,
            example=lambda: {"name": example} if example else None,
            clock=clock,
            sleep=clock.sleep,
        )
        asked = (backend.answer({"name": name}) for name in names)
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(go()), said


def test_an_outage_is_waited_out_and_every_record_is_answered() -> None:
    clock = Clock()
    provider = Provider(
        lambda name: ModelUnavailableError("it is gone.") if clock.now < 60 else None
    )
    answers, said = ask(provider, clock, "abcdef")
    assert [answer.output for answer in answers if isinstance(answer, RecordAnswer)] == [
        {"name": name} for name in "abcdef"
    ]
    assert said[0] == "it is gone. Waiting for it, up to 900 s."
    assert said[1].startswith("It answers again, after 63 s.")
    # One record at a time tries it: six asked at first, then one after each wait.
    assert clock.waits == [1, 2, 4, 8, 16, 32]
    assert len(provider.asked) == 6 + 6 + 5


def test_an_outage_is_told_without_the_words_of_the_provider() -> None:
    clock = Clock()
    gone = ModelUnavailableError("it is gone: no 'Ann' here.", public_message="it is gone.")
    _, said = ask(Provider(lambda name: gone if clock.now < 5 else None), clock, "a")
    assert said[0] == "it is gone. Waiting for it, up to 900 s."


def test_the_waits_grow_to_a_minute_and_patience_ends() -> None:
    clock = Clock()
    provider = Provider(lambda name: ModelUnavailableError("it is gone."))
    answers, _ = ask(provider, clock, 64 * "a", patience=300)
    assert all(isinstance(answer, ModelUnavailableError) for answer in answers)
    assert max(clock.waits) == 60
    assert 300 <= clock.now < 300 + 60, "it is over for all that wait at once"


def test_who_is_answered_after_all_ends_the_outage_for_those_that_come() -> None:
    clock = Clock()
    provider = Provider(lambda name: ModelUnavailableError("no.") if name == "a" else None)
    answers: list[RecordAnswer | BaseException] = []

    async def go() -> None:
        slow = asyncio.Event()
        backend = PatientBackend(
            _Slow(provider, slow), patience=0, say=lambda _: None, clock=clock, sleep=clock.sleep
        )
        late = asyncio.ensure_future(backend.answer({"name": "late"}))
        await asyncio.sleep(0)
        for name in "ab":
            answers.extend(
                await asyncio.gather(backend.answer({"name": name}), return_exceptions=True)
            )
        slow.set()
        await late
        answers.append(await backend.answer({"name": "c"}))

    asyncio.run(go())
    assert [isinstance(answer, RecordAnswer) for answer in answers] == [False, False, True]
    assert provider.asked == ["a", "late", "c"]


def test_records_take_turns_in_trying() -> None:
    clock = Clock()
    provider = Provider(
        lambda name: ModelUnavailableError("no.") if name == "a" and clock.now < 30 else None
    )
    answers, _ = ask(provider, clock, "abc")
    assert all(isinstance(answer, RecordAnswer) for answer in answers)
    assert provider.asked[:3] == ["a", "b", "c"]


def test_a_refused_request_is_not_waited_for() -> None:
    clock = Clock()
    provider = Provider(
        lambda name: ModelUnavailableError("too long.", of_request=True) if name == "b" else None
    )
    answers, said = ask(provider, clock, "abc")
    assert [isinstance(answer, RecordAnswer) for answer in answers] == [True, False, True]
    assert (clock.waits, said) == ([], [])


def test_a_record_that_is_never_answered_is_no_outage_where_an_example_is() -> None:
    clock = Clock()
    provider = Provider(
        lambda name: ModelUnavailableError("it took too long.") if name == "b" else None
    )
    (a, b, c), said = ask(provider, clock, "abc", example="x")
    assert isinstance(a, RecordAnswer)
    assert isinstance(c, RecordAnswer)
    assert isinstance(b, ModelUnavailableError)
    assert b.of_request
    assert provider.asked[-2:] == ["x", "b"]
    assert said[-1].startswith("It answers again, after ")


def test_an_outage_that_ends_with_the_patience_is_nobodys_fault() -> None:
    gone = ModelUnavailableError("it is gone.")
    provider = Provider(lambda name: None if "x" in provider.asked else gone)
    (answer,), _ = ask(provider, Clock(), "a", example="x")
    assert isinstance(answer, RecordAnswer)


def test_where_an_example_has_no_answer_either_it_is_an_outage() -> None:
    provider = Provider(lambda name: ModelUnavailableError("it is gone."))
    answers, _ = ask(provider, Clock(), "ab", example="x")
    assert [isinstance(each, ModelUnavailableError) and each.of_request for each in answers] == [
        False,
        False,
    ]
    assert provider.asked.count("x") == 1
