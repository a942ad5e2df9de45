"""The drill's own task: two versions that a script answers, one well and one badly.

They lie in the package, beside every repository of a user's, and every image carries them. As
everywhere, a version never changes its content: stages know it by its hash.
"""

from __future__ import annotations

from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.repository.reader import PromptRepository

GOOD_VERSION = "1.0.0"
BAD_VERSION = "2.0.0"
_ROOT = Path(__file__).resolve().parent / "drill_task"


def drill_repository() -> PromptRepository:
    """Return the repository whose only task is the drill's."""
    return PromptRepository(_ROOT)


def repository_of(task: str, repository: PromptRepository) -> PromptRepository:
    """Return where `task` stands: in `repository`, unless it is the drill's."""
    return drill_repository() if task == aws_names.DRILL_TASK else repository
