"""What bench-serve gives to both services that it compares."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.serve import repository
from benchmarks.serve.model import ScriptedModel
from prompt_hub.core import aws_names

KNOWN_BEFORE = {
    *("version", "sha256", "state", "threshold", "score", "model", "decided_at", "decided_by")
}
"""What the service of the tree before reads of a version; it refuses every other word."""


def test_the_older_service_can_read_the_release(tmp_path: Path) -> None:
    with ScriptedModel() as model:
        repository.build(tmp_path / "repository", model.base_url)
    release = json.loads((tmp_path / "repository" / aws_names.RELEASE_FILE).read_text())
    (task,) = release["tasks"].values()
    assert len(task["versions"]) == 2
    assert {word for version in task["versions"] for word in version} <= KNOWN_BEFORE
