"""`Prompts`: what a process gets while the ledger moves, lies, is late or goes away."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.ledger.items import VersionRef
from prompt_hub.loader import (
    InvalidAnswerError,
    InvalidFieldsError,
    Prompts,
    UnservedTaskError,
    WhyUnserved,
)
from prompt_hub.provenance.calls import call_in
from prompt_hub.release.manifest import Quarantine, load
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.rendering import render
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.loader.loading import SOON, TASK, eventually, follow, following, reference

FIELDS = {"part_number": "RC0603FR-0710KL", "title": "Thick film resistor 10 kΩ"}


def test_the_active_prompt_is_what_the_service_would_ask_with(
    built: Path, ledger: FakeLedger
) -> None:
    with follow(built, ledger) as prompts:
        prompt = prompts[TASK]
        champion = PromptRepository(built).production(TASK)
        assert champion is not None
        assert (prompt.task, prompt.version, prompt.sha256) == (TASK, "1.1.0", champion.sha256)
        assert (prompt.source, prompt.revision, prompt.release) == ("ledger", 1, "checkout")
        assert (prompt.model_alias, prompt.model) == (
            "catalogue-pinned",
            "openai:small-model-2026-01",
        )
        assert prompt.parameters == {"temperature": 0, "max_tokens": 32, "seed": 7}
        assert prompt.input_schema == champion.input
        assert prompt.output_schema == champion.output
        first, again = prompt.render(FIELDS), prompt.render(FIELDS)
        assert first == again == render(champion, FIELDS)
        assert len(first) == 6
        assert prompts.ready
        assert [*prompts] == [TASK]
        assert TASK in prompts
        assert "brand" not in prompts


def test_messages_and_schemas_are_the_callers_own(built: Path, ledger: FakeLedger) -> None:
    with follow(built, ledger) as prompts:
        prompt = prompts[TASK]
        expected = prompt.render(FIELDS)
        for message in prompt.render(FIELDS):
            message["content"] = "changed"
        prompt.output_schema["required"] = ["something else"]
        prompt.parameters["temperature"] = 1
        assert prompt.render(FIELDS) == expected
        assert prompt.parse('{"part_class": "diode"}') == {"part_class": "diode"}
        assert prompt.parameters["temperature"] == 0


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"part_number": "x"}, [("title", "is missing")]),
        ({**FIELDS, "title": 7}, [("title", "must be a string, is a number")]),
        ({**FIELDS, "more": "secret"}, [("more", "is not a field of this task")]),
    ],
)
def test_a_record_that_breaks_the_input_contract_is_not_rendered(
    built: Path, ledger: FakeLedger, fields: dict[str, str], wrong: list[tuple[str, str]]
) -> None:
    with follow(built, ledger) as prompts, pytest.raises(InvalidFieldsError) as caught:
        prompts[TASK].render({**fields})
    assert [(entry["field"], entry["problem"]) for entry in caught.value.fields] == wrong
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"part_class": "lamp"}', "part_class: "),
        ("resistor", "the answer is not JSON"),
        ('{"part_class": "diode", "part_class": "diode"}', "the answer is not JSON"),
        ("", "it is empty"),
        (None, "it is empty"),
    ],
)
def test_an_answer_that_breaks_the_output_contract_is_no_answer(
    built: Path, ledger: FakeLedger, text: str | None, problem: str
) -> None:
    with follow(built, ledger) as prompts, pytest.raises(InvalidAnswerError, match=problem):
        prompts[TASK].parse(text)


def test_a_stamp_is_a_line_that_trace_reads(built: Path, ledger: FakeLedger) -> None:
    with follow(built, ledger) as prompts:
        prompt = prompts[TASK]
        stamp = prompt.stamp(trace_id="t-1")
        call = call_in(json.dumps(stamp), "app.log:1")
        assert call is not None
        assert (call.task, call.version, call.sha256) == (TASK, "1.1.0", prompt.sha256)
        assert (call.stage, call.release, call.revision) == ("prod", "checkout", 1)
        assert (call.outcome, call.trace_id) == ("ok", "t-1")
        assert call.at is not None
        assert prompts[TASK].stamp()["instance"] == stamp["instance"]


def test_a_change_reaches_the_next_look_up_and_no_earlier_one(
    built: Path, ledger: FakeLedger
) -> None:
    with follow(built, ledger) as prompts:
        before = prompts[TASK]
        messages = before.render(FIELDS)
        ledger.move(reference(built, "1.0.0"))
        eventually(lambda: prompts[TASK].version == "1.0.0")
        assert (before.version, before.render(FIELDS)) == ("1.1.0", messages)
        assert prompts[TASK].render(FIELDS) != messages


def test_threads_never_see_half_a_change(built: Path, ledger: FakeLedger) -> None:
    repository = PromptRepository(built)
    expected = {}
    for version in ("1.0.0", "1.1.0"):
        prompt = repository.version(TASK, version)
        assert prompt is not None
        expected[version] = (prompt.sha256, render(prompt, FIELDS))
    wrong: list[str] = []
    seen: set[str] = set()
    stop = threading.Event()

    def work(prompts: Prompts) -> None:
        while not stop.is_set():
            prompt = prompts.active()[TASK]
            seen.add(prompt.version)
            if (prompt.sha256, prompt.render(FIELDS)) != expected[prompt.version]:
                wrong.append(prompt.version)

    with follow(built, ledger) as prompts:
        threads = [threading.Thread(target=work, args=(prompts,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for version in ("1.0.0", "1.1.0") * 3:
            revision = ledger.move(reference(built, version))
            eventually(lambda: prompts.state.revision == revision)  # noqa: B023
        stop.set()
        for thread in threads:
            thread.join(SOON)
    assert wrong == []
    assert seen == {"1.0.0", "1.1.0"}


def test_the_last_good_version_stays_while_the_ledger_is_away(
    built: Path, ledger: FakeLedger, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "prompt_hub.loader"), follow(built, ledger) as prompts:
        ledger.table.away = True
        eventually(lambda: not prompts.state.ledger_answers)
        assert (prompts[TASK].version, prompts[TASK].source) == ("1.1.0", "ledger")
        assert prompts.ready
        ledger.move(reference(built, "1.0.0"))
        ledger.table.away = False
        eventually(lambda: prompts[TASK].version == "1.0.0")
    messages = [record.getMessage() for record in caplog.records if "loader" in record.name]
    assert messages == [
        "the ledger answers, at revision 1",
        "part-class moved from None to 1.1.0 at revision 1",
        "the ledger stopped answering: ConnectionError",
        "the ledger cannot be followed: ConnectionError",
        "the ledger answers, at revision 2",
        "part-class moved from 1.1.0 to 1.0.0 at revision 2",
    ]


def test_a_start_waits_for_the_ledger(built: Path, ledger: FakeLedger) -> None:
    ledger.table.away = True
    back = threading.Timer(0.1, lambda: setattr(ledger.table, "away", False))
    back.start()
    with follow(built, ledger) as prompts:
        assert (prompts[TASK].version, prompts[TASK].source) == ("1.1.0", "ledger")
    back.join()


def test_a_start_without_a_ledger_never_serves_what_a_stage_has_quarantined(
    healthy: RepositoryFolder, ledger: FakeLedger
) -> None:
    release = load(healthy.root)
    champion = reference(healthy.root, "1.1.0")
    harm = Quarantine(
        sha256=champion.sha256, by="rollback (prod)", reason="0.4", at=datetime.now(UTC)
    )
    quarantined = release.model_copy(update={"quarantined": {TASK: {"1.1.0": harm}}})
    healthy.write(aws_names.RELEASE_FILE, quarantined.to_json())
    ledger.table.away = True
    with follow(healthy.root, ledger, snapshot_after=0) as prompts:
        assert (prompts[TASK].version, prompts[TASK].source) == ("1.0.0", "snapshot")
        assert prompts[TASK].revision == 0
        assert prompts["brand"].version == "1.0.0"
        ledger.table.away = False
        eventually(lambda: prompts[TASK].source == "ledger")
        assert prompts[TASK].version == "1.1.0"


def test_what_the_folder_lacks_is_refused_and_the_last_good_version_kept(
    built: Path, ledger: FakeLedger
) -> None:
    with follow(built, ledger) as prompts:
        ledger.move(VersionRef(version="2.0.0", sha256="f" * 64))
        eventually(lambda: TASK in prompts.state.refused)
        assert prompts[TASK].version == "1.1.0"


@pytest.mark.parametrize(
    ("task", "why", "words"),
    [
        (TASK, WhyUnserved.NOT_CARRIED, "part-class 2.0.0 is active in prod"),
        ("brand", WhyUnserved.NOT_ACTIVE, "no version of brand is active in prod yet"),
        ("brnad", WhyUnserved.UNKNOWN_TASK, "there is no task 'brnad'; there are: brand, part-c"),
    ],
)
def test_a_task_without_an_active_version_says_why(
    built: Path, task: str, why: WhyUnserved, words: str
) -> None:
    ledger = FakeLedger()
    ledger.move(VersionRef(version="2.0.0", sha256="f" * 64))
    with follow(built, ledger) as prompts:
        assert not prompts.ready
        with pytest.raises(UnservedTaskError, match=words) as caught:
            prompts[task]
    assert caught.value.why is why
    assert caught.value.known == ["brand", TASK]


def test_async_use_keeps_the_event_loop_free(built: Path, ledger: FakeLedger) -> None:
    ledger.table.away = True

    async def use() -> tuple[str, int]:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while turns < 5:
                await asyncio.sleep(0.01)
                turns += 1
            ledger.table.away = False

        counting = asyncio.create_task(count())
        async with follow(built, ledger) as prompts:
            version = prompts[TASK].version
            await counting
        return version, turns

    assert asyncio.run(use()) == ("1.1.0", 5)


def test_a_cancelled_start_leaves_no_thread(built: Path, ledger: FakeLedger) -> None:
    ledger.table.away = True

    async def use() -> None:
        async with follow(built, ledger):
            raise AssertionError("the ledger was away")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(use(), 0.05)

    asyncio.run(main())
    eventually(lambda: not following())


def test_closed_or_not_yet_started_prompts_serve_nothing_stale(
    built: Path, ledger: FakeLedger
) -> None:
    prompts = follow(built, ledger)
    with pytest.raises(PromptHubError, match="not followed"):
        prompts[TASK]
    with prompts:
        kept = prompts[TASK]
        with pytest.raises(PromptHubError, match="followed already"):
            prompts.start()
    assert following() == []
    with pytest.raises(PromptHubError, match="not followed"):
        prompts[TASK]
    assert kept.render(FIELDS)
    with prompts:
        assert prompts[TASK].version == "1.1.0"


@pytest.mark.processes
def test_a_forked_process_follows_on_by_a_connection_of_its_own(tmp_path: Path) -> None:
    """In an interpreter of its own: this one has threads of other tests."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("1.1.0 1.0.0 2 connections\n", "")


FORKED = """
import os, sys, time
from pathlib import Path
from prompt_hub.loader import Prompts
from prompt_hub.release.manifest import load
from tests.unit.building import build
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.loader.loading import SOON, TASK, eventually, follow, following, reference

root = build(Path(sys.argv[1])).root
versions = load(root).tasks["part-class"].versions
new, old = (version.reference for version in versions)
connections = []

def connect():
    ledger = FakeLedger()
    # Each process has a table of its own: the child's has moved.
    ledger.move(old if connections else new)
    if connections:
        ledger.move(old)
    connections.append(ledger)
    return ledger

with Prompts("prod", root=root, poll_seconds=0.01, connect=connect) as prompts:
    before = prompts["part-class"].version
    child = os.fork()
    if child == 0:
        deadline = time.monotonic() + 20
        while prompts["part-class"].version == before and time.monotonic() < deadline:
            time.sleep(0.01)
        print(before, prompts["part-class"].version, len(connections), "connections", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_wrong_settings_are_told_at_once(
    tmp_path: Path, ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (aws_names.ENV_STAGE, aws_names.ENV_POLL_SECONDS):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(PromptHubError, match="no stage is named"):
        Prompts()
    with pytest.raises(PromptHubError, match="0 is no time"):
        Prompts("prod", poll_seconds=0)
    with pytest.raises(PromptHubError, match="inf is no time"):
        Prompts("prod", poll_seconds=float("inf"))
    with pytest.raises(PromptHubError, match="no folder 'prompts'"):
        follow(tmp_path, ledger).start()
    monkeypatch.setenv(aws_names.ENV_STAGE, "prod")
    monkeypatch.setenv(aws_names.ENV_POLL_SECONDS, "soon")
    with pytest.raises(PromptHubError, match="'soon' is no time"):
        Prompts()


@pytest.mark.processes
def test_importing_it_loads_nothing_beyond_the_core() -> None:
    """What an application pays for: no SDK of a provider, no web framework, no scorer's engine."""
    core = {"pydantic", "pydantic_core", "yaml", "jinja2", "markupsafe", "annotated_types"}
    allowed = core | {"typing_extensions", "typing_inspection", "prompt_hub", "cython_runtime"}
    code = (
        "import sys; before = set(sys.modules); import prompt_hub.loader;"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {name for name in done.stdout.split() if not name.startswith("_")}
    assert packages <= allowed
