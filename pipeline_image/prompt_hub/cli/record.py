"""`prompt-hub record`: writes down what a stage runs after a release."""

from __future__ import annotations

import argparse
import json

from prompt_hub.cli.stage import (
    add_release,
    add_stage,
    ledger_of,
    now,
    release_of,
    stage_of,
    translate_aws_errors,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.release.manifest import load_manifest


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_stage(parser)
    add_release(parser)


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Write manifest, pointers and smoke test under the release's key in the results bucket."""
    from prompt_hub.evaluation.results import results_from_environment
    from prompt_hub.repository.reader import PromptRepository

    stage, release_id = stage_of(arguments), release_of(arguments)
    repository = PromptRepository.from_environment()
    results = results_from_environment(repository.root)
    release = load_manifest(results, release_id)
    smoke = results.get(aws_names.smoke_key(release_id, stage))
    ledger = ledger_of(stage)
    record = {
        "schema": "prompt-hub/stage-record@1",
        "stage": stage,
        "at": now(),
        "manifest": release.model_dump(mode="json", by_alias=True),
        "revision": ledger.revision(),
        "pointers": {task: pointer.to_attributes() for task, pointer in ledger.pointers().items()},
        "smoke_test": json.loads(smoke) if smoke else None,
    }
    key = aws_names.release_key(release_id, stage)
    results.put(key, json.dumps(record, indent=2) + "\n")
    print(f"wrote {key}")
    return ExitCode.OK
