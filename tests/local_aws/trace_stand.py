"""A stage with one release in it, made by the product: evaluated, promoted, live, rolled back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prompt_hub.cli.image import note_image
from prompt_hub.core import aws_names
from prompt_hub.core.hashing import evidence_sha256
from prompt_hub.evaluation.results import BucketResults
from prompt_hub.ledger.items import Deployed, timestamp
from prompt_hub.ledger.table import Ledger
from prompt_hub.ledger.transitions import Cause
from prompt_hub.ledger.wire import pack
from prompt_hub.llm.config import ModelConfig
from prompt_hub.release.activation import execute
from prompt_hub.release.manifest import Release, describe_promoted
from prompt_hub.release.plan import StageState, plan
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.service.execution_log import Call, call_line
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, create_table
from tests.unit.building import build
from tests.unit.promotion.checkouts import World, git

STAGE, RELEASE = "dev", "e-1"
BUCKET = aws_names.results_bucket(ACCOUNT, REGION)
TABLE = aws_names.ledger_table(STAGE)
URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{aws_names.image_repository()}"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
REGISTRY = "prompt_registry.yaml"
RECORD = "prompts/04-evals/part-class/1.2.0.json"


@dataclass
class Stand:
    """A stage with one release in it, and a clone of the repository that it came from."""

    aws: LocalAws
    clone: Path
    digest: str
    line: str
    """The execution log's line of one call."""
    definition: str = ""

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.aws.client("dynamodb"), TABLE)

    @property
    def results(self) -> BucketResults:
        return BucketResults(self.aws.client("s3"), BUCKET)

    def change(self, key: str, name: str, value: object) -> None:
        """Change one value of a JSON object in the results bucket."""
        stored = json.loads(self.results.get(key) or "")
        self.results.put(key, json.dumps({**stored, name: value}))

    def item(self, partition: str, sort: str, **values: object) -> None:
        """Change values of one item of the ledger, as nobody should."""
        key = {"pk": {"S": partition}, "sk": {"S": sort}}
        table = self.aws.client("dynamodb")
        item = table.get_item(TableName=TABLE, Key=key)["Item"]
        packed = {name: pack(value) for name, value in values.items()}
        table.put_item(TableName=TABLE, Item={**item, **packed})

    def commit(self, name: str, old: str, new: str) -> None:
        """Commit an edit of a file, everything of it that says `old`."""
        text = (self.clone / name).read_text(encoding="utf-8")
        assert old in text
        (self.clone / name).write_text(text.replace(old, new), encoding="utf-8")
        git(self.clone, "commit", "--quiet", "-am", "an edit by hand")

    def reseal(self, **values: object) -> None:
        """Change the record, and the seal in the registry with it, as a thorough person would."""
        record = json.loads((self.clone / RECORD).read_text(encoding="utf-8"))
        candidate = values.pop("candidate", {})
        record |= values
        record["candidate"] |= candidate
        text = json.dumps(record, indent=2) + "\n"
        before = (self.clone / RECORD).read_bytes()
        details = (self.clone / f"{RECORD}l").read_bytes()
        (self.clone / RECORD).write_text(text, encoding="utf-8")
        seal = evidence_sha256(before, details)
        self.commit(REGISTRY, seal, evidence_sha256(text.encode(), details))


def make_stand(aws: LocalAws, folder: Path) -> Stand:
    """Push, evaluate, promote, register an image, activate, answer a call and roll back."""
    create_table(aws, TABLE)
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    results = BucketResults(aws.client("s3"), BUCKET)
    author = build(folder / "author")
    remote = folder / "remote.git"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    git(author.root, "init", "--quiet", "--initial-branch=main")
    git(author.root, "remote", "add", "origin", str(remote))
    (author.root / ".gitignore").write_text(".prompt-hub/\n", encoding="utf-8")
    world = World(folder, author, results)
    tree = PromptRepository(world.evaluated(RELEASE, world.push("Sort parts into classes")))
    assert world.promote(RELEASE).tasks["part-class"].outcome == "promoted"
    release = describe_promoted(tree, results, RELEASE, [])
    results.put(aws_names.manifest_key(RELEASE), release.to_json())
    stand = Stand(aws=aws, clone=folder / "clone", digest=_pushed(aws, results, release), line="")
    stand.definition = register(aws, RELEASE, URI)
    _live(stand, release)
    git(folder, "clone", "--quiet", str(remote), str(stand.clone))
    return stand


def _pushed(aws: LocalAws, results: BucketResults, release: Release) -> str:
    """Register an image as `docker push` does here, and note it as the Image action does."""
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName=aws_names.image_repository())
    digest = _image(aws, RELEASE, "the release's")
    note_image(ecr, URI, results, RELEASE)
    return digest


def _image(aws: LocalAws, tag: str, what: str) -> str:
    manifest = {"schemaVersion": 2, "layers": [], "annotations": {"what": what}}
    put = aws.client("ecr").put_image(
        repositoryName=aws_names.image_repository(),
        imageManifest=json.dumps(manifest),
        imageTag=tag,
    )
    digest: str = put["image"]["imageId"]["imageDigest"]
    return digest


def register(aws: LocalAws, release: str, uri: str) -> str:
    container = {
        "name": aws_names.CONTAINER,
        "image": f"{uri}:{RELEASE}",
        "environment": [{"name": aws_names.ENV_RELEASE, "value": release}],
    }
    made = aws.client("ecs").register_task_definition(
        family=aws_names.service(STAGE), containerDefinitions=[container]
    )
    arn: str = made["taskDefinition"]["taskDefinitionArn"]
    return arn


def _live(stand: Stand, release: Release) -> None:
    """Activate the release, answer a call with it, roll it back."""
    ledger, now = stand.ledger, timestamp(datetime.now(UTC))
    ledger.deploy(
        Deployed(
            release=release.reference, commit=release.commit, carries=release.carries(), at=now
        ),
        by="pipeline",
    )
    models = {
        version.model.alias: version.model.identity
        for task in release.tasks.values()
        for version in task.versions
    }
    state = StageState(pointers={}, retired={}, versions={}, models=models)
    assert execute(ledger, release, plan(release, state)).moved == ["brand", "part-class"]
    pointer = ledger.pointer("part-class")
    assert pointer is not None
    carried = release.tasks["part-class"].version("1.2.0")
    assert carried is not None
    provider, _, model = carried.model.identity.partition(":")
    call = Call(
        stage=STAGE,
        task="part-class",
        version=pointer.version,
        sha256=pointer.sha256,
        release=RELEASE,
        revision=pointer.revision,
        instance="i-1",
        trace_id=TRACE_ID,
        model=ModelConfig(alias=carried.model.alias, provider=provider, model=model),
    )
    stand.line = json.dumps(call_line(call, "ok", seconds=0.1, answer=None, problem=None))
    logs, group = stand.aws.client("logs"), aws_names.service_log_group(STAGE)
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="service/1")
    logs.put_log_events(
        logGroupName=group,
        logStreamName="service/1",
        logEvents=[{"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": stand.line}],
    )
    cause = Cause(by="rollback", reason="0.4 is below 0.7", at=now, code="below-threshold")
    ledger.roll_back("part-class", seen=pointer.revision, cause=cause)
