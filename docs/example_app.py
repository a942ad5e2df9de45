"""Synthesise the example that docs/permissions.md and docs/costs.md are about.

Its settings and tasks are those that this repository ships, kept a second time: whoever changes
`cdk.json` or `prompts/` changes their own installation, and no page about the example. Its stage
answers files of records and has a role for people on call, which that of `cdk.json` does not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

from aws_cdk import App

from cdk_app.settings import CONTEXT_KEY, Settings
from cdk_app.tasks import Task
from docs.synthesised import Json
from prompt_hub.repository.schema import ScoreWatch
from stacks.assembly import add_stacks

ROOT = Path(__file__).resolve().parent.parent
CONTEXT = cast(
    Json, json.loads((ROOT / "docs" / "example_context.json").read_text(encoding="utf-8"))
)
"""The context of the `cdk.json` that we ship, with `records` and `on_call` in its stage."""
TASKS = (
    Task(name="part-class", watch=ScoreWatch(), budget_seconds=1800),
    Task(
        name="shop-category",
        watch=ScoreWatch(every_minutes=60, datapoints_to_alarm=2, evaluation_periods=3),
        budget_seconds=1800,
    ),
)


def synthesise(folder: Path) -> None:
    """Write the example's cloud assembly."""
    app = App(context=CONTEXT, outdir=str(folder))
    settings = Settings.from_context(CONTEXT[CONTEXT_KEY])
    add_stacks(app, settings=settings, tasks=TASKS, release="unreleased", root=ROOT)
    app.synth()


if __name__ == "__main__":
    synthesise(Path(sys.argv[1]))
