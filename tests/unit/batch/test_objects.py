"""Objects of runs in a folder, and what an address of a store may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from prompt_hub.batch.bucket_objects import objects_from
from prompt_hub.batch.objects import FolderObjects
from prompt_hub.core.errors import PromptHubError
from tests.unit.batch.objects_contract import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_folder_keeps_the_contract(check: Check, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    check(FolderObjects(tmp_path / "store"), folder)


def test_an_address_is_a_folder_or_a_bucket(tmp_path: Path) -> None:
    assert objects_from(str(tmp_path)).address == str(tmp_path)
    for wrong in ("s3://", "s3://bucket/folder"):
        with pytest.raises(PromptHubError, match="is no store of runs"):
            objects_from(wrong)


def test_what_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(PromptHubError, match=r"cannot be written: File exists"):
        FolderObjects(tmp_path).write("runs/plan.json", b"")
