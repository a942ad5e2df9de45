"""`--stamp`: one block of the metadata changes, everything else stays byte for byte."""

from __future__ import annotations

import pytest

from prompt_hub.core.errors import PromptHubError
from prompt_hub.repository.documents import InvalidDocumentsError
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.validation.stamp import stamp
from tests.unit.building import PART_CLASS_METADATA, RepositoryFolder

METADATA = "prompts/03-metadata/part-class.yaml"
EXAMPLES = "prompts/01-examples/part-class.jsonl"


def without_block(text: str) -> list[str]:
    """The lines of a metadata file that stamping must not touch."""
    return [
        line
        for line in text.splitlines(keepends=True)
        if not line.startswith(("up_to_date:", "  examples:", "  input:", "  output:"))
    ]


def test_a_change_is_noted_and_comments_stay(healthy: RepositoryFolder) -> None:
    before = healthy.read(METADATA)
    healthy.edit(EXAMPLES, '"C1206C104K5RAC", "input"', '"C1206C104K5RAC-7800", "input"')
    assert healthy.rules_broken() == ["up-to-date"]
    assert stamp(healthy.repository, "part-class")
    after = healthy.read(METADATA)
    assert healthy.findings() == []
    assert after != before
    assert without_block(after) == without_block(before)
    assert "# moves with the candidate" in after


def test_what_is_saved_while_examples_are_hashed_stays(
    healthy: RepositoryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_examples = PromptRepository.examples_sha256

    def saved_meanwhile(repository: PromptRepository, task: str) -> str:
        found = hash_examples(repository, task)
        healthy.edit(METADATA, "owner: catalogue-team", "owner: parts-team")
        return found

    healthy.edit(EXAMPLES, '"C1206C104K5RAC", "input"', '"C1206C104K5RAC-7800", "input"')
    monkeypatch.setattr(PromptRepository, "examples_sha256", saved_meanwhile)
    with pytest.raises(PromptHubError, match=f"nothing was stamped: {METADATA} was changed"):
        stamp(healthy.repository, "part-class")
    assert "owner: parts-team" in healthy.read(METADATA)
    monkeypatch.undo()
    assert stamp(healthy.repository, "part-class")
    assert "owner: parts-team" in healthy.read(METADATA)
    assert healthy.findings() == []


def test_stamping_twice_changes_nothing(healthy: RepositoryFolder) -> None:
    before = healthy.path(METADATA).stat()
    assert not stamp(healthy.repository, "part-class")
    assert healthy.path(METADATA).stat().st_mtime_ns == before.st_mtime_ns


def test_metadata_without_the_block_gets_it(healthy: RepositoryFolder) -> None:
    healthy.write(METADATA, PART_CLASS_METADATA.replace("1.0.0", "1.2.0"))
    assert healthy.rules_broken() == ["missing-key"]
    stamp(healthy.repository, "part-class")
    assert healthy.findings() == []


def test_windows_line_ends_stay(healthy: RepositoryFolder) -> None:
    text = PART_CLASS_METADATA.replace("1.0.0", "1.2.0").replace("\n", "\r\n")
    healthy.write(METADATA, text)
    stamp(healthy.repository, "part-class")
    after = healthy.read(METADATA)
    assert after.startswith(text)
    assert after.count("\n") == after.count("\r\n")


def test_the_file_keeps_its_permissions_and_leaves_nothing_behind(
    healthy: RepositoryFolder,
) -> None:
    healthy.path(METADATA).chmod(0o640)
    healthy.write(METADATA, PART_CLASS_METADATA.replace("1.0.0", "1.2.0"))
    stamp(healthy.repository, "part-class")
    assert healthy.path(METADATA).stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in healthy.path(METADATA).parent.iterdir()) == [
        "brand.yaml",
        "part-class.yaml",
    ]


def test_a_broken_candidate_or_example_stops_it_before_it_writes(healthy: RepositoryFolder) -> None:
    before = healthy.read(METADATA)
    healthy.write(EXAMPLES, "nonsense\n")
    with pytest.raises(InvalidDocumentsError, match=EXAMPLES):
        stamp(healthy.repository, "part-class")
    assert healthy.read(METADATA) == before


def test_a_file_that_cannot_be_edited_safely_is_left_alone(healthy: RepositoryFolder) -> None:
    text = healthy.read(METADATA).replace("up_to_date:", '"up_to_date":')
    text = text.replace("  examples: ", "  examples: x")
    healthy.write(METADATA, text)
    with pytest.raises((PromptHubError, InvalidDocumentsError)):
        stamp(healthy.repository, "part-class")
    assert healthy.read(METADATA) == text


def test_an_unknown_task_is_a_sentence(healthy: RepositoryFolder) -> None:
    with pytest.raises(PromptHubError, match="there is no task 'colour'"):
        stamp(healthy.repository, "colour")
