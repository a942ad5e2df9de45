"""What AWS holds of a release and a version: results bucket, ledger, registry of images, ECS, logs.

Reads only. docs/provenance.md has the permissions that this takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import Results
from prompt_hub.ledger.items import Deployed, Event, Pointer, VersionRecord
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.provenance.calls import Call, call_in
from prompt_hub.release.image_record import ImageRecord
from prompt_hub.release.manifest import Release
from prompt_hub.repository.json import parse_model

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilterLogEventsRequestPaginateTypeDef

    from prompt_hub.ledger.table import Ledger

M = TypeVar("M", bound=BaseModel)
_RESTORE = "Restore it: the bucket keeps former versions of an object for 30 days."
_READ_AGAIN = 5
"""How often a ledger is read anew that changes all the time."""


@dataclass(frozen=True, kw_only=True)
class TaskDefinition:
    """One revision of the service's task definition, as far as it names a release."""

    arn: str
    image: str
    release: str | None
    """What its environment tells the service that it is."""


@dataclass(frozen=True, kw_only=True)
class ReleaseEvidence:
    """Everything that AWS holds of a release; what is missing is None."""

    release: str
    manifest: Release | None
    promotion: Promotion | None
    image: ImageRecord | None
    digest: str | None
    """The digest that the registry of images has under the release's tag now."""
    task_definitions: tuple[TaskDefinition, ...]
    """Those that name the release by their image or by their environment."""


@dataclass(frozen=True, kw_only=True)
class LedgerEvidence:
    """Everything that a stage's ledger holds."""

    revision: int
    pointers: Mapping[str, Pointer]
    """Retired ones among them."""
    versions: Mapping[str, Mapping[str, VersionRecord]]
    events: Mapping[str, tuple[Event, ...]]
    """By task, oldest first."""
    deployed: Deployed | None


class StageReader:
    """Asks AWS about one stage."""

    def __init__(
        self,
        stage: str,
        *,
        ledger: Ledger,
        results: Results,
        ecr: ECRClient,
        ecs: ECSClient,
        logs: CloudWatchLogsClient,
    ) -> None:
        self.stage = stage
        self.results = results
        self._ledger, self._ecr, self._ecs, self._logs = ledger, ecr, ecs, logs

    def ledger(self) -> LedgerEvidence:
        """Read the ledger as it is at one moment: anew where a change came between.

        Half of it from before and half from after would look as if somebody had edited it.
        """
        found = self._ledger_now()
        for _ in range(_READ_AGAIN):
            if self._ledger.revision() == found.revision:
                break
            found = self._ledger_now()
        return found

    def _ledger_now(self) -> LedgerEvidence:
        # The head comes first: what changes meanwhile is newer, and no gap below it.
        revision = self._ledger.revision()
        pointers = self._ledger.every_pointer()
        return LedgerEvidence(
            revision=revision,
            pointers=pointers,
            versions={task: self._ledger.versions(task) for task in pointers},
            events={task: self._ledger.events(task)[::-1] for task in pointers},
            deployed=self._ledger.deployed(),
        )

    def release(self, release: str) -> ReleaseEvidence:
        """Read what is kept of a release; raises `PromptHubError` for what nobody can read."""
        return ReleaseEvidence(
            release=release,
            manifest=self._result(aws_names.manifest_key(release), Release),
            promotion=self.promotion(release),
            image=self._result(aws_names.image_key(release), ImageRecord),
            digest=self._digest(release),
            task_definitions=tuple(self._definitions(release)),
        )

    def promotion(self, execution: str) -> Promotion | None:
        """Return what an execution promoted; None if it left no record."""
        return self._result(aws_names.promotion_key(execution), Promotion)

    def release_of_image(self, digest: str) -> str | None:
        """Return the release whose tag an image has; None if the registry has no such image."""
        try:
            found = self._ecr.describe_images(
                repositoryName=aws_names.image_repository(), imageIds=[{"imageDigest": digest}]
            )["imageDetails"]
        except self._ecr.exceptions.ImageNotFoundException:
            return None
        tags = [tag for image in found for tag in image.get("imageTags", [])]
        return tags[0] if tags else None

    def calls(
        self, pattern: str, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Call]:
        """Yield the calls in the service's log whose lines have `pattern` in them."""
        request: FilterLogEventsRequestPaginateTypeDef = {
            "logGroupName": aws_names.service_log_group(self.stage),
            "filterPattern": f'"{pattern}"',
        }
        if since is not None:
            request["startTime"] = int(since.timestamp() * 1000)
        if until is not None:
            request["endTime"] = int(until.timestamp() * 1000)
        for page in self._logs.get_paginator("filter_log_events").paginate(**request):
            for event in page["events"]:
                call = call_in(event["message"], f"log stream {event['logStreamName']}")
                if call is not None:
                    yield call

    def _result(self, key: str, model: type[M]) -> M | None:
        text = self.results.get(key)
        return None if text is None else parse_model(text, key, model, hint=_RESTORE)

    def _digest(self, release: str) -> str | None:
        found = self._ecr.batch_get_image(
            repositoryName=aws_names.image_repository(), imageIds=[{"imageTag": release}]
        )["images"]
        return found[0]["imageId"]["imageDigest"] if found else None

    def _definitions(self, release: str) -> Iterator[TaskDefinition]:
        """Yield what names the release. CloudFormation deregisters old ones; they stay readable."""
        for status in ("ACTIVE", "INACTIVE"):
            pages = self._ecs.get_paginator("list_task_definitions").paginate(
                familyPrefix=aws_names.service(self.stage), status=status, sort="DESC"
            )
            for page in pages:
                for arn in page["taskDefinitionArns"]:
                    # The emulator takes the family for a prefix: stage dev is not stage dev-2.
                    if arn.rpartition("/")[2].partition(":")[0] != aws_names.service(self.stage):
                        continue
                    definition = self._definition(arn)
                    tag = definition.image.rpartition(":")[2]
                    if release in {definition.release, tag}:
                        yield definition

    def _definition(self, arn: str) -> TaskDefinition:
        found = self._ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        container = next(
            item for item in found["containerDefinitions"] if item["name"] == aws_names.CONTAINER
        )
        environment = {item["name"]: item["value"] for item in container.get("environment", [])}
        return TaskDefinition(
            arn=arn, image=container["image"], release=environment.get(aws_names.ENV_RELEASE)
        )
