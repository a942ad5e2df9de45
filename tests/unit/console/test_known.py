"""What takes long to read is read aside: once, and nobody is told something that is not so."""

from __future__ import annotations

import threading

import pytest

from prompt_hub.console.clone import Clone
from prompt_hub.console.known import Aside
from prompt_hub.console.pages import Console
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import Registry
from tests.unit.console.stages import Browse


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
