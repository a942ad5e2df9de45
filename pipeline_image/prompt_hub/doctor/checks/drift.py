"""Whether the registry of this clone, the ledger, the image and what runs say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prompt_hub.core import aws_names
from prompt_hub.core.wording import count
from prompt_hub.doctor.base import Check, Finding, start
from prompt_hub.doctor.readers import Readers
from prompt_hub.ledger.items import Pointer
from prompt_hub.release.ecs_task import running_release
from prompt_hub.release.image_record import ImageRecord
from prompt_hub.release.manifest import load_manifest, not_carried
from prompt_hub.repository.json import parse_model
from prompt_hub.repository.reader import REGISTRY, PromptRepository


def _examine(readers: Readers) -> Iterator[Finding]:
    yield from _ledger(readers)
    stage, pointers = readers.stage, readers.ledger.pointers()
    yield from _registry(readers, pointers)
    service = readers.service
    if service["runningCount"] < service["desiredCount"]:
        wanted = count(service["desiredCount"], "task")
        yield Finding(
            f"The service runs {service['runningCount']} of {wanted}.",
            "Look why in the service's events.",
            f"aws ecs describe-services --cluster {aws_names.cluster(stage)}"
            f" --services {aws_names.service(stage)}",
        )
    release = running_release(readers.of_stage.client("ecs"), stage)
    deployed = readers.ledger.deployed()
    in_ledger = deployed.release.release if deployed else "no release"
    if in_ledger != release:
        yield Finding(
            f"The service runs release {release}; the ledger says {in_ledger}.",
            "Retry the stage's Activate, or start an execution, which activates what it deploys.",
            start(),
        )
    yield from _image(readers, release)
    manifest = load_manifest(readers.results, release)
    for pointer in pointers.values():
        for text in not_carried(manifest, pointer):
            yield Finding(
                f"The ledger has {text}, which the image of release {release} lacks.",
                "Release again, or move the stage to what the image has.",
                f"prompt-hub ledger activate {pointer.task} --stage {stage} --to VERSION"
                " --person NAME --reason REASON",
            )


def _ledger(readers: Readers) -> Iterator[Finding]:
    """Look whether people and the service mean one ledger, where one was restored."""
    asked = readers.table
    followed = readers.environment.get(aws_names.ENV_LEDGER_TABLE, asked)
    if followed != asked:
        yield Finding(
            f"The service follows the ledger {followed}; commands here ask {asked}.",
            "Set ledger_table of the stage in cdk.json, and deploy; where there is no clone, set"
            f" {aws_names.ENV_LEDGER_TABLES} to what the service follows.",
            f"export {aws_names.ENV_LEDGER_TABLES}={readers.stage}={followed}",
        )


def _image(readers: Readers, release: str) -> Iterator[Finding]:
    """Compare the digest that the Image action noted with what the tag means now."""
    key = aws_names.image_key(release)
    text = readers.results.get(key)
    if text is None:
        return  # an older release has no such record
    noted = parse_model(text, key, ImageRecord, hint="Look at its Image action.").digest
    images = readers.session.client("ecr").batch_get_image(
        repositoryName=aws_names.image_repository(), imageIds=[{"imageTag": release}]
    )["images"]
    digest = images[0]["imageId"].get("imageDigest") if images else "no image"
    if digest != noted:
        yield Finding(
            f"The image of release {release} was pushed as {noted}; its tag means {digest} now.",
            "Find out who moved it, and release again.",
            f"prompt-hub trace {release} --stage {readers.stage}",
        )


def _registry(readers: Readers, pointers: Mapping[str, Pointer]) -> Iterator[Finding]:
    """Compare what is released here; what a stage has taken out or frozen may differ."""
    if not (readers.root / REGISTRY).exists() or readers.execution_runs:
        return
    for task, entry in PromptRepository(readers.root).registry().tasks.items():
        pointer = pointers.get(task)
        active = pointer.version if pointer else None
        if entry.released == active or (pointer and pointer.frozen):
            continue
        state = readers.ledger.version_states(task).get(entry.released or "")
        if state is None or not state.taken_out:
            yield Finding(
                f"The registry of this clone has {entry.released or 'no version'} of {task}"
                f" released; the stage has {active or 'none'} active.",
                "Pull; if it is still so, start an execution, whose Activate says why it leaves a"
                " task alone.",
                f"git pull && {start()}",
            )


CHECK = Check("drift", _examine, start)
