"""The CDK app: toolchain stacks, the pipeline, and the stages that it deploys.

Synthesis reads files of this repository and one environment variable, nothing else: no
credentials, no network, no git, no clock.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from prompt_hub.core import aws_names
from prompt_hub.core.imports import gc_paused

with gc_paused():
    # A tenth of a synthesis was a search for garbage among CDK's classes, which all stay.
    from aws_cdk import App

    from cdk_app import nag
    from cdk_app.alarm_names import require_one_alarm_a_name
    from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
    from cdk_app.tasks import (
        read_tasks,
        require_aliases,
        require_drills_to_be_told_apart,
        require_time_for_soaks,
    )
    from stacks.assembly import add_stacks

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Build and synthesise the app."""
    app = App()
    # The pipeline names the release in Synth's environment; it only reaches the service stacks.
    release = os.environ.get(aws_names.ENV_RELEASE, "unreleased")
    try:
        settings = Settings.from_context(app.node.try_get_context(CONTEXT_KEY))
        require_aliases(ROOT, settings.models)
        tasks = read_tasks(ROOT)
        require_time_for_soaks(tasks, settings.stages)
        require_drills_to_be_told_apart(tasks, settings.stages)
        add_stacks(app, settings=settings, tasks=tasks, release=release, root=ROOT)
        require_one_alarm_a_name(app)
    except SettingsError as error:
        sys.exit(f"app.py: {f'{error.file}: ' if error.file else ''}{error}")
    # CDK's own switch, of which it would find out only when all rules have been read.
    if os.environ.get("CDK_VALIDATION") != "false":
        nag.check(app)
    app.synth()


if __name__ == "__main__":
    main()
