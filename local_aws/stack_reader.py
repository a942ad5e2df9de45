"""What the local AWS and the running service hold, read the way anybody outside reads it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import yaml

from local_aws.processes import LocalRunError, answers
from local_aws.stack import STAGE, LocalStack

if TYPE_CHECKING:
    from mypy_boto3_codepipeline.type_defs import ActionExecutionDetailTypeDef
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

Json = dict[str, object]


class Observer:
    """Reads pipeline, results, ledger, alarms and service of one local stack; changes nothing."""

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        self._named = stack.installation

    def executions(self) -> set[str]:
        """Ids of every execution so far."""
        listed = self._stack.pipelines.list_pipeline_executions(pipelineName=self._named)
        return {entry["pipelineExecutionId"] for entry in listed["pipelineExecutionSummaries"]}

    def running(self, known: set[str]) -> dict[str, str]:
        """Status by id, newest first, of the executions that are not `known`."""
        listed = self._stack.pipelines.list_pipeline_executions(pipelineName=self._named)
        return {
            entry["pipelineExecutionId"]: entry["status"]
            for entry in listed["pipelineExecutionSummaries"]
            if entry["pipelineExecutionId"] not in known
        }

    def actions(self, execution: str) -> list[ActionExecutionDetailTypeDef]:
        """Return what an execution has done, newest first."""
        listed = self._stack.pipelines.list_action_executions(
            pipelineName=self._named, filter={"pipelineExecutionId": execution}, maxResults=100
        )
        return listed["actionExecutionDetails"]

    def failed(self, execution: str) -> list[ActionExecutionDetailTypeDef]:
        """Return the actions of an execution that failed, newest first."""
        return [action for action in self.actions(execution) if action["status"] == "Failed"]

    def status(self, execution: str) -> str:
        """How an execution ended, or `InProgress`."""
        found = self._stack.pipelines.get_pipeline_execution(
            pipelineName=self._named, pipelineExecutionId=execution
        )
        return found["pipelineExecution"]["status"]

    def newest(self, count: int) -> list[str]:
        """Ids of the newest executions, newest first; of a pipeline that is not there, none."""
        try:
            return list(self.running(set()))[:count]
        except self._stack.pipelines.exceptions.PipelineNotFoundException:
            return []

    def runs(self, execution: str, commit: str) -> bool:
        """Whether an execution of `commit` is under way still."""
        found = self._stack.pipelines.get_pipeline_execution(
            pipelineName=self._named, pipelineExecutionId=execution
        )["pipelineExecution"]
        revisions = [item["revisionId"] for item in found.get("artifactRevisions", ())]
        return found["status"] == "InProgress" and commit in revisions

    @property
    def ledger(self) -> str:
        """Name of the ledger's table."""
        return f"{self._named}-{STAGE}-ledger"

    def bucket(self) -> str:
        """Name of the results bucket."""
        account = self._stack.overrides["AWS_ACCESS_KEY_ID"]
        return f"{self._named}-results-{account}-{self._stack.region}"

    def record(self, execution: str, task: str) -> Json:
        """Return the evaluation record of a task made by an execution."""
        record: Json = json.loads(self.result(f"evaluations/{execution}/{task}.json"))
        return record

    def result(self, key: str) -> bytes:
        """Return what the results bucket holds under `key`."""
        return self._stack.objects.get_object(Bucket=self.bucket(), Key=key)["Body"].read()

    def remembered(self) -> set[str]:
        """Return the digests of all that was judged: who evaluates the same finds the verdict."""
        pages = self._stack.objects.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket(), Prefix="verdicts/"
        )
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {Path(key).stem for key in keys if key.endswith(".json")}

    def pointer(self, task: str) -> Json:
        """Return a task's pointer in the ledger."""
        found = self._stack.tables.get_item(
            TableName=self.ledger,
            Key={"pk": {"S": "ACTIVE"}, "sk": {"S": task}},
            ConsistentRead=True,
        )
        return _plain(found["Item"])

    def _items(self, partition: str, prefix: str = "") -> list[Json]:
        condition, values = "pk = :partition", {":partition": {"S": partition}}
        if prefix:
            condition += " AND begins_with(sk, :prefix)"
            values[":prefix"] = {"S": prefix}
        # A page has a megabyte: a stage that was left running has more samples than that in weeks.
        pages = self._stack.tables.get_paginator("query").paginate(
            TableName=self.ledger,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        return [_plain(item) for page in pages for item in page["Items"]]

    def active(self) -> list[Json]:
        """Return every pointer, retired ones too; where there is no ledger yet, none."""
        try:
            return [{"task": item["sk"], **item} for item in self._items("ACTIVE")]
        except self._stack.tables.exceptions.ResourceNotFoundException:
            return []

    def events(self, task: str) -> list[Json]:
        """Return what happened to a task's pointer, oldest first."""
        return self._items(f"TASK#{task}", "EVENT#")

    def rolled_back(self, task: str) -> bool:
        """Whether the pointer of a task was ever rolled back; no, where there is no ledger yet."""
        try:
            return any(event["kind"] == "rolled-back" for event in self.events(task))
        except self._stack.tables.exceptions.ResourceNotFoundException:
            return False

    def samples(self, task: str) -> list[Json]:
        """Return samples of the score watch, oldest first."""
        return self._items(f"SCORE#{task}")

    def _versions(self, task: str) -> list[Json]:
        return self._items(f"TASK#{task}", "VERSION#")

    def history(self, task: str) -> list[object]:
        """All that the ledger says of a task, but its scores."""
        return [self.pointer(task), self.events(task), self._versions(task)]

    def pointers(self) -> list[Json]:
        """Every pointer as the run page shows it."""
        return [
            {
                "task": task,
                "version": pointer["version"],
                "previous": (cast("Json | None", pointer["previous"]) or {}).get("version"),
                "reason": pointer["reason"],
                "states": self.version_states(task),
            }
            for task in sorted(self.tasks())
            for pointer in [self.pointer(task)]
        ]

    def version_states(self, task: str) -> dict[str, str]:
        """Return the ledger's state of each version of a task."""
        return {str(item["version"]): str(item["state"]) for item in self._versions(task)}

    def alarm_history(self, task: str) -> list[tuple[str, str]]:
        """When a task's score alarm fired."""
        found = self._stack.alarms.describe_alarm_history(
            AlarmName=f"{self._named}-{STAGE}-score-{task}",
            HistoryItemType="StateUpdate",
            MaxRecords=10,
        )
        return [
            (item["Timestamp"].isoformat(), f"alarm (in whole seconds): {item['HistorySummary']}")
            for item in found["AlarmHistoryItems"]
            if item["HistorySummary"].endswith("to ALARM")
        ]

    @cached_property
    def url(self) -> str:
        """Where the service's load balancer answers."""
        for name, where in self._stack.load_balancers().items():
            if name.startswith(self._named):
                return f"http://{where}"
        raise LocalRunError("no service is deployed yet.")

    def await_service(self) -> None:
        """Wait for the service that a restart of the local AWS has started again."""
        deadline = time.monotonic() + 90
        while not answers(f"{self.url}/readyz"):
            if time.monotonic() > deadline:
                raise LocalRunError(
                    f"the service did not come back; see {self._stack.state / 'cloud' / 'logs'}."
                )
            time.sleep(0.5)

    def tasks_page(self) -> Json:
        """Return the service's own page of its tasks."""
        return _http(f"{self.url}/v1/tasks")

    def tasks(self) -> dict[str, Json]:
        """Return what the service serves, by task."""
        tasks = cast("list[Json]", self.tasks_page()["tasks"])
        return {str(entry["task"]): entry for entry in tasks}

    def task_names(self) -> list[str]:
        """Names of the live tasks, those included that people have pushed."""
        folder = self._tree / "prompts" / "03-metadata"
        return sorted(path.stem for path in folder.glob("[!.]*.yaml"))

    @property
    def _tree(self) -> Path:
        """What was pushed; the checkout where nothing was yet."""
        return self._stack.demo if self._stack.demo.exists() else self._stack.root

    def ask(self, task: str) -> Json:
        """One real request, with the input of the task's first scored example.

        Raises `LocalRunError` if the service has no answer, or git no example to ask about.
        """
        path = self._tree / "prompts" / "01-examples" / f"{task}.jsonl"
        examples = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        # A set that lies in S3 is one line, which names it.
        scored = (e for e in examples if "input" in e and e.get("split", "eval") == "eval")
        first = next(scored, None)
        if first is None:
            raise LocalRunError(f"{path} has no scored example to ask about.")
        return _http(f"{self.url}/v1/tasks/{task}/run", {"fields": first["input"]})

    def locked_threshold(self, task: str, version: str) -> float:
        """Return the threshold that a released version was promoted with, by the registry."""
        text = (self._stack.demo / "prompt_registry.yaml").read_text(encoding="utf-8")
        return float(yaml.safe_load(text)["tasks"][task]["versions"][version]["threshold"])


def _plain(item: Mapping[str, AttributeValueTypeDef]) -> Json:
    from boto3.dynamodb.types import TypeDeserializer

    read = TypeDeserializer().deserialize
    plain: Json = json.loads(json.dumps({k: read(v) for k, v in item.items()}, default=float))
    return plain


def _http(url: str, body: Json | None = None) -> Json:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310
        url, data=data, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
            answer: Json = json.loads(response.read())
            return answer
    except urllib.error.HTTPError as error:
        message = error.read().decode(errors="replace")[:300]
        raise LocalRunError(f"the service answered {error.code} at {url}: {message}") from None
    except OSError as error:
        raise LocalRunError(f"the service does not answer at {url} ({error}).") from None
