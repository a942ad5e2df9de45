"""One stage on the local AWS: what its resources are, and the commands that are run on it.

The ECS service has no tasks, only an image to its name: see `test_ecs.py` for the rest.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from decision import Window
from handler import Clients, process
from prompt_hub.core import aws_names
from prompt_hub.evaluation.results import BucketResults
from prompt_hub.ledger.outbox import Outbox
from prompt_hub.ledger.table import Ledger
from prompt_hub.promotion.promoter import Promotion
from prompt_hub.release.manifest import describe_promoted
from telling import People
from tests.local_aws.emulator import ACCOUNT, REGION, LocalAws, create_table, eventually, free_port
from tests.local_aws.rollback_lambda import put_score_alarm
from tests.unit.building import RepositoryFolder, build, catalogue_answer
from tests.unit.service.fake_provider import FakeProvider, fake_provider

BUCKET = aws_names.results_bucket(ACCOUNT, REGION)
RECORD = {
    "part_number": "C1206C104K5RAC",
    "title": "Ceramic capacitor 0.1 µF 50 V X7R 1206",
    "manufacturer": "KEMET",
}


@dataclass
class Stage:
    """One stage with a promoted tree, and the commands people and pipelines run on it."""

    aws: LocalAws
    folder: RepositoryFolder
    provider: FakeProvider
    port: int
    release: str
    name: str = "dev"
    restored: str = ""
    """The table that the ledger was restored as, if it was."""

    @property
    def table(self) -> str:
        return self.restored or aws_names.ledger_table(self.name)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.aws.client("dynamodb"), self.table)

    @property
    def results(self) -> BucketResults:
        return BucketResults(self.aws.client("s3"), BUCKET)

    @property
    def environment(self) -> dict[str, str]:
        model = {"provider": "openai", "model": "small", "base_url": self.provider.url}
        brand = {**model, "model": "latest"}
        measured = {**model, "model": "small-model-2026-01"}
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **self.aws.environment,
            aws_names.ENV_STAGE: self.name,
            aws_names.ENV_LEDGER_TABLE: self.table,
            **self.where_it_was_restored,
            aws_names.ENV_RESULTS_BUCKET: BUCKET,
            aws_names.ENV_RELEASE: self.release,
            aws_names.ENV_MODELS: json.dumps(
                {"catalogue-pinned": measured, "catalogue-latest": brand}
            ),
            aws_names.ENV_SERVICE_URL: f"http://127.0.0.1:{self.port}",
            aws_names.ENV_PORT: str(self.port),
            aws_names.ENV_POLL_SECONDS: "0.2",
        }

    @property
    def where_it_was_restored(self) -> dict[str, str]:
        """What people set on their machines, and the settings in what is deployed."""
        named = f"{self.name}={self.restored}"
        return {aws_names.ENV_LEDGER_TABLES: named} if self.restored else {}

    def create(self) -> None:
        """Make the ledger and the cluster, as the first deployment does."""
        create_table(self.aws, aws_names.ledger_table(self.name))
        self.aws.client("ecs").create_cluster(clusterName=aws_names.cluster(self.name))

    def roll_back(self) -> dict[str, Any]:
        """Let the Lambda look at the score alarms; what came of it."""
        clients = Clients(
            ledger=Outbox(self.aws.client("dynamodb"), self.table),
            alarms=self.aws.client("cloudwatch"),
            people=People(
                stage=self.name,
                topic=self.aws.client("sns").create_topic(Name="people")["TopicArn"],
                sns=self.aws.client("sns"),
                bus=self.aws.client("events"),
            ),
            windows=lambda: {"part-class": Window(to_alarm=1, of_last=1)},
        )
        return process({"source": "aws.events"}, ACCOUNT, clients)

    def rolled_back_when_shown(self, task: str) -> dict[str, Any]:
        """Watch the failing `task` until its evidence is enough; what the Lambda then did.

        Few examples need a few runs.
        """
        for _ in range(8):
            outcome = self.roll_back()
            if [item["code"] for item in outcome["outcomes"]] != ["not-shown"]:
                return outcome
            self.run("watch", task)
        raise AssertionError(f"eight runs are not enough: {outcome}")

    def run(self, *words: str, code: int = 0) -> str:
        """Run one command in the tree; its exit code must be `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "prompt_hub.cli", *words],
            cwd=self.folder.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def deploy(self, release: str) -> None:
        """Let the stage's service run the image of `release`, as Deploy would."""
        ecs = self.aws.client("ecs")
        image = f"registry:5000/{aws_names.image_repository()}:{release}"
        name = ecs.register_task_definition(
            family=aws_names.service(self.name),
            containerDefinitions=[{"name": aws_names.CONTAINER, "image": image, "memory": 64}],
        )["taskDefinition"]["taskDefinitionArn"]
        cluster, service = aws_names.cluster(self.name), aws_names.service(self.name)
        if ecs.describe_services(cluster=cluster, services=[service])["services"]:
            ecs.update_service(cluster=cluster, service=service, taskDefinition=name)
        else:
            ecs.create_service(
                cluster=cluster, serviceName=service, taskDefinition=name, desiredCount=0
            )

        def rolled_out() -> bool:
            (found,) = ecs.describe_services(cluster=cluster, services=[service])["services"]
            (now,) = (item for item in found["deployments"] if item["status"] == "PRIMARY")
            return (now["taskDefinition"], now["rolloutState"]) == (name, "COMPLETED")

        eventually(rolled_out, what=f"the deployment of {release}")

    def promoted(self, release: str) -> None:
        """Write what Promote would have written, bake the manifest as Image would, deploy it."""
        self.deploy(release)
        self.release = release
        promotion = Promotion(
            schema_="prompt-hub/promotion@1",
            execution=release,
            commit="source",
            released_commit="released",
            tasks={},
            at=datetime.now(UTC),
        )
        self.results.put(aws_names.promotion_key(release), promotion.model_dump_json(by_alias=True))
        live = self.ledger.pointers().values()
        manifest = describe_promoted(self.folder.repository, self.results, release, live)
        self.results.put(aws_names.manifest_key(release), manifest.to_json())
        (self.folder.root / aws_names.RELEASE_FILE).write_text(manifest.to_json(), encoding="utf-8")

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        """Run the service, ready; at the end it must stop by itself when told to."""
        log = (self.folder.root / "serve.log").open("a+", encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "prompt_hub.cli", "serve"],
            cwd=self.folder.root,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            eventually(lambda: self.ready(process), what="the service's readiness")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                assert process.wait(60) == 0
            finally:
                process.kill()
                log.close()

    def ready(self, process: subprocess.Popen[str]) -> bool:
        assert process.poll() is None, (self.folder.root / "serve.log").read_text(encoding="utf-8")
        try:
            return bool(self.get("/readyz")["ready"])
        except OSError:
            return False

    def get(self, path: str) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())

    def ask(self) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/tasks/part-class/run",
            data=json.dumps({"fields": RECORD}).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def served(self) -> dict[str, str]:
        return {item["task"]: item["version"] for item in self.get("/v1/tasks")["tasks"]}

    def put_alarm(self) -> None:
        """The score alarm as the rollback stack has it."""
        put_score_alarm(self.aws, self.name, "part-class")

    def alarm(self) -> str:
        alarms = self.aws.client("cloudwatch").describe_alarms(
            AlarmNames=[aws_names.score_alarm(self.name, "part-class")]
        )["MetricAlarms"]
        return str(alarms[0]["StateValue"])


def newer_is_wrong(messages: list[dict[str, str]]) -> object:
    """A model that the newer version's wording leads astray."""
    if "for a catalogue" in messages[0]["content"]:
        return {"part_class": "diode"}
    return catalogue_answer(messages)


@contextmanager
def catalogue_stage(aws: LocalAws, tree: Path) -> Iterator[Stage]:
    """Make a stage without a release, and a model that knows the catalogue, in a new account."""
    aws.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    with fake_provider() as provider:
        provider.thinks = catalogue_answer
        made = Stage(aws=aws, folder=build(tree), provider=provider, port=free_port(), release="")
        made.create()
        yield made
