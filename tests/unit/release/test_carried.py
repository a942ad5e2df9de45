"""A service's view of its image: hashes of all versions, prompts of those that are served."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.ledger.items import VersionRef
from prompt_hub.release import carried
from prompt_hub.release.carried import CarriedHashes, CarriedPrompts, carried_hashes
from prompt_hub.release.ledger_poller import SNAPSHOT_AFTER_SECONDS, LedgerPoller
from prompt_hub.release.manifest import Quarantine, Release, carried_for_drills, load
from prompt_hub.repository.schema import Prompt
from tests.unit.building import RepositoryFolder
from tests.unit.ledger.fake_dynamodb import FakeLedger
from tests.unit.service.heard import Heard

OLD_FILE = "prompts/99-archive/part-class/1.0.0.yaml"


def image(folder: RepositoryFolder, release: Release | None = None) -> CarriedHashes:
    """Write the manifest as an image has it, and read it as a service does."""
    release = release or load(folder.root)
    path = folder.root / aws_names.RELEASE_FILE
    path.write_text(release.to_json(), encoding="utf-8")
    return carried_hashes(folder.root)


def quarantined(release: Release, task: str, version: str) -> Release:
    found = release.tasks[task].version(version)
    assert found is not None
    told = Quarantine(
        sha256=found.sha256, by="ann", reason="harm", at=datetime(2026, 12, 24, tzinfo=UTC)
    )
    return release.model_copy(update={"quarantined": {task: {version: told}}})


def test_a_manifest_read_task_by_task_says_what_the_whole_one_does(
    healthy: RepositoryFolder,
) -> None:
    release = load(healthy.root)
    with_drill = {**release.tasks, aws_names.DRILL_TASK: carried_for_drills()}
    for each in (
        release,
        release.model_copy(update={"tasks": with_drill}),
        release.model_copy(update={"tasks": {}}),
        quarantined(release, "part-class", "1.1.0"),
        quarantined(release, "part-class", "1.0.0"),
        quarantined(release, "brand", "1.0.0"),
    ):
        assert image(healthy, each) == CarriedHashes.of(each)
    harmed = image(healthy, quarantined(release, "part-class", "1.1.0"))
    assert harmed.champions["part-class"].version == "1.1.0"
    assert harmed.snapshot["part-class"].version == "1.0.0"
    assert "brand" not in image(healthy, quarantined(release, "brand", "1.0.0")).snapshot


def test_the_order_of_a_manifest_and_its_spaces_do_not_count(healthy: RepositoryFolder) -> None:
    release = quarantined(load(healthy.root), "part-class", "1.1.0")
    written = json.loads(release.to_json())
    for text in (
        json.dumps(dict(reversed(list(written.items())))),
        json.dumps(written, separators=(",", ":")),
        f" \n{json.dumps(written, indent=7)} \n",
    ):
        healthy.path(aws_names.RELEASE_FILE).write_text(text, encoding="utf-8")
        assert carried_hashes(healthy.root) == CarriedHashes.of(release)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[:-20], "Expecting"),
        (lambda text: text + "{}", "Extra data"),
        (lambda text: "[]", "Expecting '{'"),
        (lambda text: "", "Expecting '{'"),
        (lambda text: text.replace('"tasks"', '"task"', 1), "Extra inputs"),
        (lambda text: text.replace('"brand"', '"Brand"', 1), "should match pattern"),
        (lambda text: text.replace('"state"', '"stated"', 1), "Extra inputs"),
        (lambda text: text.replace('"commit"', '"commits"', 1), "Field required"),
        (lambda text: text.replace('"tasks": {', '"tasks": [{', 1), "Expecting"),
    ],
)  # fmt: skip
def test_a_broken_manifest_stops_the_start(
    healthy: RepositoryFolder, change: Callable[[str], str], reason: str
) -> None:
    text = load(healthy.root).to_json()
    healthy.path(aws_names.RELEASE_FILE).write_text(change(text), encoding="utf-8")
    with pytest.raises(PromptHubError, match=reason) as refused:
        carried_hashes(healthy.root)
    assert "cannot be read" in str(refused.value)
    assert "rebuild the image" in refused.value.hint


def prompts_of(folder: RepositoryFolder) -> CarriedPrompts:
    hashes = CarriedHashes.of(load(folder.root))
    return CarriedPrompts(folder.repository, hashes)


def damage(folder: RepositoryFolder) -> None:
    text = folder.read(OLD_FILE)
    folder.write(OLD_FILE, text.replace("role: user", "role: system", 1))


def test_a_damaged_version_stops_the_start_of_an_ordinary_image(healthy: RepositoryFolder) -> None:
    prompts = prompts_of(healthy)
    damage(healthy)
    with pytest.raises(PromptHubError, match="as it was promoted") as refused:
        prompts.require_all()
    assert refused.value.exit_code is ExitCode.BLOCKED


def test_a_very_large_image_is_looked_through_and_its_champions_are_checked(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(carried, "CHECKED_AT_START", 2)
    hashes = CarriedHashes.of(load(healthy.root))
    prompts = CarriedPrompts(healthy.repository, hashes)
    text = healthy.read(OLD_FILE)
    damage(healthy)
    prompts.require_all()
    with pytest.raises(PromptHubError, match="as it was promoted"):
        prompts.prepare("part-class", "1.0.0")
    healthy.write(OLD_FILE, text)
    assert prompts["part-class", "1.0.0"].version == "1.0.0"

    healthy.path(OLD_FILE).unlink()
    with pytest.raises(PromptHubError, match=r"part-class 1\.0\.0 is missing"):
        CarriedPrompts(healthy.repository, hashes).require_all()
    healthy.write(OLD_FILE, text)
    champion = "prompts/02-production/part-class.yaml"
    healthy.write(champion, healthy.read(champion).replace("role: user", "role: system", 1))
    with pytest.raises(PromptHubError, match="as it was promoted"):
        CarriedPrompts(healthy.repository, hashes).require_all()


def test_what_was_prepared_is_served_whatever_becomes_of_its_file(
    healthy: RepositoryFolder,
) -> None:
    prompts, other = prompts_of(healthy), prompts_of(healthy)
    expected = healthy.repository.version("part-class", "1.0.0")
    key = ("part-class", "1.0.0")
    other.take({key: prompts.prepare(*key)}, [])
    healthy.path(OLD_FILE).unlink()
    assert prompts[key] == other[key] == expected
    other.forget([key, ("part-class", "9.9.9")])
    with pytest.raises(PromptHubError, match="is missing"):
        other[key]
    assert key in other
    assert ("part-class", "9.9.9") not in other
    assert len(other) == len(list(other)) == 3


def test_what_comes_instead_of_a_prompt_that_is_called_is_parsed_before_a_call_asks(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, idle, left = prompts_of(healthy), prompts_of(healthy), ("part-class", "1.1.0")
    key = ("part-class", "1.0.0")
    packed = {key: called.prepare(*key)}
    assert called[left].version == "1.1.0"
    for prompts in (called, idle):
        prompts.take(packed, [left])

    def too_late(_: bytes) -> Prompt:
        raise AssertionError("a call waits for this")

    monkeypatch.setattr(carried, "_unpacked", too_late)
    assert called[key] == called[key] == healthy.repository.version(*key)
    with pytest.raises(AssertionError, match="a call waits"):
        idle[key]
    called.forget([key])
    monkeypatch.undo()
    assert called[key].version == "1.0.0", "what was let go can be read again"


def test_a_file_under_another_name_is_found(healthy: RepositoryFolder) -> None:
    prompts = prompts_of(healthy)
    healthy.path(OLD_FILE).rename(healthy.path("prompts/99-archive/part-class/old.yaml"))
    prompts.require_all()
    assert prompts["part-class", "1.0.0"].version == "1.0.0"


def test_a_pointer_to_a_damaged_version_is_refused_and_the_last_good_one_kept(
    healthy: RepositoryFolder,
) -> None:
    hashes = CarriedHashes.of(load(healthy.root))
    prompts = CarriedPrompts(healthy.repository, hashes)
    ledger, heard = FakeLedger(), Heard()
    poller = LedgerPoller(hashes, ledger, heard, prompts)
    old = VersionRef(version="1.0.0", sha256=hashes.carries["part-class"]["1.0.0"])
    text = healthy.read(OLD_FILE)
    damage(healthy)

    ledger.move(hashes.champions["part-class"])
    poller.poll()
    ledger.move(old)
    poller.poll()
    assert poller.state.served["part-class"].reference.version == "1.1.0"
    assert poller.state.refused == {"part-class": old}
    assert heard.messages[-1] == "refused part-class 1.0.0, kept 1.1.0"

    # Nobody has to move the pointer again: it may be a rollback's, and the damage a moment's.
    healthy.write(OLD_FILE, text)
    poller.poll()
    assert poller.state.served["part-class"].reference == old
    assert not poller.state.refused
    assert prompts["part-class", "1.0.0"].sha256 == old.sha256


def test_a_snapshot_holds_nothing_that_is_damaged(healthy: RepositoryFolder) -> None:
    hashes = CarriedHashes.of(quarantined(load(healthy.root), "part-class", "1.1.0"))
    prompts = CarriedPrompts(healthy.repository, hashes)
    damage(healthy)
    ledger, times = FakeLedger(), iter([0.0])
    ledger.table.away = True
    poller = LedgerPoller(
        hashes, ledger, Heard(), prompts, clock=lambda: next(times, SNAPSHOT_AFTER_SECONDS)
    )
    poller.poll()
    assert set(poller.state.served) == {"brand"}
