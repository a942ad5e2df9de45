"""`python -m prompt_hub.release.prune FOLDER`: leaves out of an image what its release leaves out.

A build stage of the Dockerfile runs it on its own copy of the tree: of the archive only those
versions stay that `release.json` names or metadata pins as judges, and of the evaluations their
records.
"""

from __future__ import annotations

import sys
from pathlib import Path

from prompt_hub.core.errors import PromptHubError
from prompt_hub.release.manifest import load, pinned_judges
from prompt_hub.repository.reader import ARCHIVE, EVALS, PromptRepository


def prune(root: Path) -> list[str]:
    """Delete archived versions that the release does not need; returns what was deleted.

    Records of their evaluations go with them.
    """
    # A judge stays although it is quarantined: the score watch measures with what the gate does.
    # As the release does not carry it, no pointer can go to it.
    kept = pinned_judges(PromptRepository(root)) | {
        (task, version) for task, versions in load(root).carries().items() for version in versions
    }
    deleted = []
    for path in sorted((root / "prompts" / ARCHIVE).glob("*/*.yaml")):
        if (path.parent.name, path.stem) not in kept:
            path.unlink()
            deleted.append(f"{path.parent.name} {path.stem}")
    for path in (root / "prompts" / EVALS).glob("*/*.json"):
        if (path.parent.name, path.stem) not in kept:
            path.unlink()
    return deleted


def main() -> int:
    """Prune the folder that the command line names."""
    try:
        for text in prune(Path(sys.argv[1])):
            print(f"left out of the image: {text}")
    except PromptHubError as error:
        print(f"prune: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
