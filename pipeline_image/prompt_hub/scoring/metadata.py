"""A task's metadata with the settings of its scorers."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from prompt_hub.core.hashing import sha256_of
from prompt_hub.repository.documents import to_model
from prompt_hub.repository.reader import METADATA, PromptRepository
from prompt_hub.repository.schema import Metadata
from prompt_hub.scoring.registry import OneOfTheTypes, Scorer


class ScoringMetadata(Metadata):
    """What people decide about a task."""

    model_config = ConfigDict(title="Metadata")

    scorers: Annotated[tuple[Annotated[Scorer, OneOfTheTypes()], ...], Field(min_length=1)]
    """How answers are scored; weights are relative."""

    @property
    def sha256(self) -> str:
        """Hash of what a verdict depends on here; texts and schedules do not count."""
        decides = {"threshold", "scorers", "gate", "limits", "judge"}
        dumped = self.model_dump(mode="json", include=decides)
        if self.override is not None and self.override.version == self.version:
            dumped["override"] = self.override.model_dump(mode="json")
        return sha256_of(dumped)


def read_metadata(repository: PromptRepository, task: str) -> ScoringMetadata:
    """Read what people decided about `task`; raises `InvalidDocumentsError` for a wrong file."""
    document = repository.document(repository.path(METADATA, f"{task}.yaml"))
    return to_model(document, ScoringMetadata)
