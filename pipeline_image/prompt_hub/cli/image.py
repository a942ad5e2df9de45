"""`prompt-hub image`: one image for one release, tagged with the release's id."""

from __future__ import annotations

import argparse
import base64
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_hub.cli.stage import (
    add_release,
    ledger_of,
    named,
    release_of,
    stage_names,
    translate_aws_errors,
    words_of,
)
from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.core.git import head_commit
from prompt_hub.ledger.errors import LedgerMissingError
from prompt_hub.ledger.messages import SIGNED
from prompt_hub.release.image_record import ImageRecord
from prompt_hub.release.manifest import (
    Release,
    build_manifest,
    describe_promoted,
    load_manifest,
    not_carried,
)
from prompt_hub.release.notes import changes
from prompt_hub.repository.reader import PromptRepository

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

    from prompt_hub.evaluation.results import Results
    from prompt_hub.ledger.items import Pointer

DOCKERFILE = "pipeline_image/Dockerfile"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_release(parser)
    parser.add_argument(
        "--repository-uri",
        default=os.environ.get(aws_names.ENV_REPOSITORY_URI),
        help=f"where the image is pushed; {aws_names.ENV_REPOSITORY_URI} by default",
    )
    parser.add_argument(
        "--stages",
        type=stage_names,
        default=os.environ.get(aws_names.ENV_STAGES),
        metavar="STAGE,STAGE",
        help="stages that the release may reach: the image carries what their ledgers have live; "
        f"{aws_names.ENV_STAGES} by default",
    )
    parser.add_argument(
        "--base-image", help="another base than the Dockerfile's, with the same Python in it"
    )
    parser.add_argument(
        "--notes",
        type=Path,
        metavar="FOLDER",
        help="write into FOLDER what an approval shows: the released commit, and for each stage "
        "what the release would change there",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="build the tree as it stands, under the name prompt-hub, and push nothing",
    )


@translate_aws_errors()
def run(arguments: argparse.Namespace) -> ExitCode:
    """Build and push; an image that is there already is left alone, so a retry succeeds.

    The manifest lies in the results bucket before the image can be used.
    """
    repository = PromptRepository.from_environment()
    if arguments.local:
        return _local(repository, arguments.release or "local", arguments.base_image)
    uri = named(arguments.repository_uri, "--repository-uri", aws_names.ENV_REPOSITORY_URI)
    stages = named(arguments.stages, "--stages", aws_names.ENV_STAGES).split(",")
    release_id = release_of(arguments)
    import boto3

    from prompt_hub.evaluation.results import results_from_environment
    from prompt_hub.release import docker

    ecr = boto3.client("ecr")
    tag = f"{uri}:{release_id}"
    results = results_from_environment(repository.root)
    if _digest(ecr, uri, release_id):
        print(f"{tag} is there already; a release's image never changes")
        note_image(ecr, uri, results, release_id)
        if arguments.notes:
            _note(arguments.notes, load_manifest(results, release_id), _live(stages))
        return ExitCode.OK
    live = _live(stages)
    every = [pointer for pointers in live.values() for pointer in pointers]
    release = describe_promoted(repository, results, release_id, every, words_of(live))
    _require_tasks(release, live)
    _warn(release, live)
    _login(ecr, uri)
    _build(repository.root, release, tag, arguments.base_image)
    results.put(aws_names.manifest_key(release_id), release.to_json())
    docker.push(tag)
    print(f"pushed {tag}")
    note_image(ecr, uri, results, release_id)
    if arguments.notes:
        _note(arguments.notes, release, live)
    return ExitCode.OK


def note_image(ecr: ECRClient, uri: str, results: Results, release_id: str) -> None:
    """Write down which image was pushed, once: a trace compares it with what ECR has later."""
    key = aws_names.image_key(release_id)
    digest = _digest(ecr, uri, release_id)
    described = results.get(aws_names.manifest_key(release_id)) is not None
    if digest is None or not described or results.get(key) is not None:
        return
    record = ImageRecord(
        schema_="prompt-hub/image@1",
        release=release_id,
        image=f"{uri}:{release_id}",
        digest=digest,
        commit=load_manifest(results, release_id).commit,
        at=datetime.now(UTC),
    )
    results.put(key, record.to_json())


def _live(stages: Iterable[str]) -> dict[str, list[Pointer]]:
    """Return the pointers of each stage; a stage that was never deployed has none."""
    live = {}
    for stage in stages:
        try:
            live[stage] = list(ledger_of(stage).pointers().values())
        except LedgerMissingError:
            print(f"stage {stage} has no ledger yet: nothing is live there")
            live[stage] = []
    return live


def _note(folder: Path, release: Release, live: Mapping[str, Iterable[Pointer]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "commit").write_text(release.commit, encoding="utf-8")
    for stage, pointers in live.items():
        (folder / stage).write_text(changes(release, pointers), encoding="utf-8")


def _require_tasks(release: Release, live: Mapping[str, Iterable[Pointer]]) -> None:
    """Raise `PromptHubError` where a stage has a task active that git has removed.

    Without it no container becomes ready there, so that Deploy fails for every task, and Activate,
    which would retire it, is never reached.
    """
    gone = [
        f"{pointer.task} {pointer.version} in {stage}"
        for stage, pointers in live.items()
        for pointer in pointers
        if pointer.task not in release.tasks
    ]
    if gone:
        raise PromptHubError(
            f"git has nothing left of what is active: {', '.join(gone)}.",
            hint="Bring the task's files back (git revert). Where it shall go, archive it first:"
            f" prompt-hub promote archive TASK {SIGNED}; remove its files once"
            " prompt-hub ledger show says of every stage that it is retired.",
            exit_code=ExitCode.BLOCKED,
        )


def _warn(release: Release, live: Mapping[str, Iterable[Pointer]]) -> None:
    for stage, pointers in live.items():
        for lacking in (text for pointer in pointers for text in not_carried(release, pointer)):
            print(
                f"WARNING: stage {stage} has {lacking}, and this image cannot carry it: it is "
                "quarantined, or neither in 02-production nor in 99-archive with that content"
            )


def _local(repository: PromptRepository, release_id: str, base: str | None) -> ExitCode:
    release = build_manifest(
        repository,
        release=release_id,
        commit=head_commit(repository.root),
        made_at=datetime.now(UTC),
    )
    _build(repository.root, release, f"{aws_names.image_repository()}:{release_id}", base)
    return ExitCode.OK


def _build(root: Path, release: Release, tag: str, base: str | None) -> None:
    from prompt_hub.release import docker

    for name, task in release.tasks.items():
        versions = ", ".join(version.version for version in task.versions)
        print(f"{name}: champion {task.champion or 'none'}; the image carries {versions or 'none'}")
    arguments = {"RELEASE": release.release}
    if base:
        arguments["BASE_IMAGE"] = base
    manifest = root / aws_names.RELEASE_FILE
    try:
        manifest.write_text(release.to_json(), encoding="utf-8")
        docker.build(root, tag=tag, dockerfile=DOCKERFILE, arguments=arguments)
    finally:
        # A clone that keeps it is taken for this image from then on, whatever is promoted there.
        manifest.unlink(missing_ok=True)


def _login(ecr: ECRClient, uri: str) -> None:
    from prompt_hub.release import docker

    granted = ecr.get_authorization_token()["authorizationData"][0]
    token = base64.b64decode(granted["authorizationToken"]).decode("utf-8")
    user, _, password = token.partition(":")
    if not password:
        raise PromptHubError("ECR's login token has no password.", exit_code=ExitCode.UNEXPECTED)
    docker.login(uri.partition("/")[0], user=user, password=password)


def _digest(ecr: ECRClient, uri: str, tag: str) -> str | None:
    """Return the digest of the image under a tag; None if there is none."""
    _, _, name = uri.partition("/")
    # Not DescribeImages: that raises for a missing tag, and some stand-ins answer it with nothing.
    found = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": tag}])["images"]
    return found[0]["imageId"]["imageDigest"] if found else None
