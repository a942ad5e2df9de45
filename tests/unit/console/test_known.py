"""What takes long to read is read aside: once, and nobody is told something that is not so."""

from __future__ import annotations

import json
import threading
from typing import NoReturn

import pytest

from prompt_hub.console.clone import Clone
from prompt_hub.console.known import Aside
from prompt_hub.console.pages import Console
from prompt_hub.core import aws_names
from prompt_hub.core.errors import PromptHubError
from prompt_hub.evaluation.record import parse_record
from prompt_hub.evaluation.results import RESULTS_DIR
from prompt_hub.gate.types import Status
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import Registry
from tests.unit.console.stages import Browse, FakeStage, denied
from tests.unit.reporting.history import TASK, jsonl


def test_who_asks_meanwhile_waits_for_the_same_reading() -> None:
    aside, go_on = Aside(), threading.Event()
    readings: list[int] = []

    def read() -> str:
        readings.append(1)
        assert go_on.wait(60)
        return "read"

    assert aside.read("file", read, 0.0) is None
    assert aside.read("file", read, 0.0) is None
    go_on.set()
    assert aside.read("file", read, None) == "read"
    assert len(readings) == 1
    # Nothing is kept: who asks afterwards has it read anew.
    assert aside.read("file", read, None) == "read"
    assert len(readings) == 2


def test_what_goes_wrong_aside_is_raised_where_it_is_waited_for() -> None:
    aside = Aside()

    def read() -> str:
        raise ValueError("broken")

    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            aside.read("file", read, None)


def test_a_changed_registry_is_shown_as_it_was_until_it_is_read(
    lived: Console, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a task that has metadata the owner stands there.
    (lived.clone.root / "prompts" / "03-metadata" / f"{TASK}.yaml").unlink()
    client = browse(lived)
    assert "is being read" not in client.get("/").text
    go_on, read = threading.Event(), PromptRepository.registry

    def read_late(repository: PromptRepository) -> Registry:
        assert go_on.wait(60)
        return read(repository)

    monkeypatch.setattr(PromptRepository, "registry", read_late)
    monkeypatch.setattr(Clone, "patience", 0.0)
    registry = lived.clone.root / "prompt_registry.yaml"
    text = registry.read_text("utf-8")
    registry.write_text(text.replace("owner: catalogue-team", "owner: another-team"), "utf-8")
    meanwhile = client.get("/").text
    assert "prompt_registry.yaml has changed and is being read; this is what it said." in meanwhile
    assert "catalogue-team" in meanwhile
    go_on.set()
    monkeypatch.setattr(Clone, "patience", 60.0)
    afterwards = client.get("/").text
    assert "is being read" not in afterwards
    assert "another-team" in afterwards


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("parts-team", "parts-team"),
        (r'"\u0070arts-team"', "parts-team"),
        ("Parts-Team", "Parts-Team"),
    ],
)
def test_a_new_owner_is_shown_and_found_before_the_task_releases_again(
    lived: Console, browse: Browse, written: str, shown: str
) -> None:
    client = browse(lived)
    assert "catalogue-team" in client.get("/").text
    metadata = lived.clone.root / "prompts" / "03-metadata" / f"{TASK}.yaml"
    metadata.write_text(metadata.read_text("utf-8").replace("catalogue-team", written), "utf-8")
    assert shown in client.get(f"/task/{TASK}").text
    found = client.get("/?search=parts-team").text
    assert shown in found
    # The words stand in the field of the search, too.
    assert "No task matches." not in found
    assert "No task matches." in client.get("/?search=catalogue-team").text


def test_a_task_is_found_by_the_owner_of_its_registry_where_its_metadata_cannot_be_read(
    lived: Console, browse: Browse
) -> None:
    client = browse(lived)
    metadata = lived.clone.root / "prompts" / "03-metadata" / f"{TASK}.yaml"
    metadata.write_text("owner: [", "utf-8")
    assert "No task matches." not in client.get("/?search=catalogue-team").text


def test_what_an_execution_evaluated_again_is_read_again_where_it_can_be(
    lived: Console,
    fake: FakeStage,
    browse: Browse,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Clone, "patience", 60.0)
    client, path = browse(lived), f"/evaluation/{TASK}/execution/local"
    assert "may be released" in client.get(path).text
    file = lived.clone.root / RESULTS_DIR / aws_names.evaluation_key("local", TASK)
    record = parse_record(file.read_text("utf-8"), file.name)
    verdict = record.verdict.model_copy(update={"status": Status.BLOCK})
    file.write_text(record.model_copy(update={"verdict": verdict}).to_json(), encoding="utf-8")
    clock[0] = 3
    assert "may not be released" in client.get(path).text
    fake.broken["results"] = denied("GetObject")
    clock[0] = 6
    assert "may not be released" in client.get(path).text


def test_a_look_at_what_is_held_asks_for_its_record_alone(
    lived: Console,
    fake: FakeStage,
    browse: Browse,
    clock: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Clone, "patience", 60.0)
    client = browse(lived)
    # The first look reads the answers, too; many who look within two seconds ask once.
    for clock[0], asked in ((0, 2), (1, 2), (3, 3), (4, 3), (6, 4)):
        client.get(f"/evaluation/{TASK}/execution/local?words=brand")
        assert fake.asked["results"] == asked, clock


def test_a_label_that_is_corrected_stands_beside_the_answers(
    lived: Console, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clone, "patience", 60.0)
    client, path = browse(lived), f"/evaluation/{TASK}/execution/local"
    assert "Corrected" not in client.get(path).text
    file = lived.clone.root / "prompts" / "01-examples" / f"{TASK}.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for line in lines:
        line["expected"]["brand"] = "Corrected"
    file.write_text(jsonl(lines), encoding="utf-8")
    assert "Corrected" in client.get(path).text


def test_examples_that_cannot_be_read_are_read_as_soon_as_they_can_be(
    lived: Console, browse: Browse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clone, "patience", 60.0)
    client, path = browse(lived), f"/evaluation/{TASK}/execution/local"

    def refused(repository: PromptRepository, task: str) -> NoReturn:
        raise PromptHubError(f"{task}: the set cannot be read: 403.")

    with monkeypatch.context() as later:
        later.setattr(PromptRepository, "examples", refused)
        page = client.get(path).text
    assert f"are left out: {TASK}: the set cannot be read: 403." in page
    assert "The example cannot be read." in page
    assert "no longer has" not in page
    afterwards = client.get(path).text
    assert "cannot be read" not in afterwards
