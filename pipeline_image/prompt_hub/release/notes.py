"""What a release would change in a stage, in one line for the person who is asked to let it in."""

from __future__ import annotations

from collections.abc import Iterable

from prompt_hub.core import aws_names
from prompt_hub.core.wording import score
from prompt_hub.ledger.items import Pointer
from prompt_hub.release.manifest import CarriedVersion, Release

LONGEST = 800
"""Characters; CodePipeline takes a thousand for what an approval shows."""


def changes(release: Release, pointers: Iterable[Pointer]) -> str:
    """Return what differs between the release's champions and what is active, in one line.

    `pointers` are the stage's when the image was made; what is left alone there for another reason
    is activation's to say.
    """
    active = {pointer.task: pointer for pointer in pointers}
    texts = []
    # A drill may be on at that moment: its task is no task of anybody's.
    for name in sorted({*release.tasks, *active} - {aws_names.DRILL_TASK}):
        task, pointer = release.tasks.get(name), active.get(name)
        champion = task.version(task.champion) if task else None
        if champion is None:
            if pointer is not None:
                texts.append(f"{name} {pointer.version} goes out of service")
        elif pointer is None:
            texts.append(f"{name} {_words(champion)}, the first here")
        elif pointer.active != champion.reference:
            texts.append(f"{name} {pointer.version} -> {_words(champion)}")
    return _within(texts) if texts else "no prompt changes, only code and settings"


def _words(champion: CarriedVersion) -> str:
    found, least = champion.score, champion.threshold
    shown = "not measured" if found is None else score(found, least)
    return f"{champion.version} ({shown}, threshold {score(least, found)})"


def _within(texts: list[str]) -> str:
    shown: list[str] = []
    for number, text in enumerate(texts):
        rest = f"and {len(texts) - number} more"
        if len("; ".join([*shown, text, rest])) > LONGEST:
            return "; ".join([*shown, rest])
        shown.append(text)
    return "; ".join(shown)
