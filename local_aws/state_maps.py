"""A Distributed Map: a child execution for each item of a list in S3, a few at once.

The emulator's own lets every child run after too many have failed, gives children the context of
their parent, and forgets which children succeeded when the execution goes on.
"""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import s3, stepfunctions

from local_aws.state_tasks import ask
from local_aws.state_walk import (
    OverdueError,
    Record,
    StateError,
    StoppedError,
    SuspendedError,
    Walk,
)

_DENIED = "StepFunctions.AccessDeniedException"
_COUNTS = (
    *("pending", "running", "succeeded", "failed", "timedOut", "aborted", "total"),
    *("resultsWritten", "failuresNotRedrivable", "pendingRedrive"),
)


def run_map(walk: Walk, state: Record, given: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """Run a child for each item and return their outputs in order.

    Raises `StateError`: `States.ItemReaderFailed`, `States.ExceedToleratedFailureThreshold`.
    """
    machine = walk.record["stateMachineArn"]
    ask(walk, "states:StartExecution", machine, {}, _DENIED)
    items = _items(walk, state["ItemReader"], given)
    run = _MapRun(walk, state, given, items)
    walk.event("MapRunStarted", mapRunStartedEventDetails={"mapRunArn": run.record["mapRunArn"]})
    try:
        with ThreadPoolExecutor(state["MaxConcurrency"]) as pool:
            begun = [
                pool.submit(copy_context().run, run.child, place) for place in range(len(items))
            ]
            for child in begun:
                child.result()
        walk.check()
    except Exception:  # it was stopped or suspended, or is overdue
        run.end("ABORTED")
        raise
    if run.record["status"] == "FAILED":
        cause = "The specified tolerated failure threshold was exceeded"
        name = "States.ExceedToleratedFailureThreshold"
        walk.event("MapRunFailed", mapRunFailedEventDetails={"error": name, "cause": cause})
        raise StateError(name, f"{cause}. The first failure: {run.failures[0]}")
    run.end("SUCCEEDED")
    walk.event("MapRunSucceeded")
    return [run.outputs[place] for place in sorted(run.outputs)]


def _items(walk: Walk, reader: Record, given: Any) -> list[Any]:  # noqa: ANN401 - JSON
    where = walk.filled(reader, "Parameters", given)
    bucket, key = where["Bucket"], where["Key"]
    error = "States.ItemReaderFailed"
    ask(walk, "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}", {}, error)
    status, _, body = s3._get_object(bucket, key, {}, {})
    if status != 200:
        raise StateError(error, f"There is no object {key} in the bucket {bucket}.")
    try:
        items = json.loads(body)
    except ValueError as problem:
        raise StateError(error, f"{bucket}/{key} is no JSON: {problem}") from problem
    if not isinstance(items, list):
        raise StateError(error, f"{bucket}/{key} is no JSON array.")
    return items


@dataclass
class _MapRun:
    """One run of a map: what DescribeMapRun says of it, and its children."""

    walk: Walk
    state: Record
    given: Any
    items: list[Any]
    record: Record = field(init=False)
    outputs: dict[int, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    children: list[Record] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        walk, parts = self.walk, self.walk.record["stateMachineArn"].split(":")
        self.name = walk.context["State"]["Name"]
        self.label = self.state.get("Label") or uuid.uuid4().hex
        self.place = ":".join((*parts[:5], "execution", f"{parts[6]}/{self.label}"))
        run = ":".join((*parts[:5], "mapRun", f"{parts[6]}/{self.label}", str(uuid.uuid4())))
        if walk.resumed:
            if walk.record.get("redriveCount"):
                place = f"{self.place}:*"
                ask(walk, "states:RedriveExecution", place, {}, _DENIED)
            self._take_what_was_done()
        walk.resumed = False
        pending = len(self.items) - len(self.outputs)
        counts = dict.fromkeys(_COUNTS, 0) | {"total": len(self.items), "pending": pending}
        counts["succeeded"] = len(self.outputs)
        self.record = {
            "mapRunArn": run,
            "executionArn": walk.record["executionArn"],
            "status": "RUNNING",
            "startDate": now_iso(),
            "maxConcurrency": self.state["MaxConcurrency"],
            "toleratedFailurePercentage": float(self.state.get("ToleratedFailurePercentage", 0)),
            "toleratedFailureCount": self.state.get("ToleratedFailureCount", 0),
            "itemCounts": counts,
            "executionCounts": counts,
            "redriveCount": walk.record.get("redriveCount", 0),
            "_stateMachineArn": f"{walk.record['stateMachineArn']}/{self.label}",
            "_state": self.name,
        }
        stepfunctions._map_runs[run] = self.record

    def _take_what_was_done(self) -> None:
        earlier = {
            run["mapRunArn"]
            for run in stepfunctions._map_runs.values()
            if run["executionArn"] == self.walk.record["executionArn"]
            and run.get("_state") == self.name
        }
        for child in list(stepfunctions._executions.values()):
            if child.get("mapRunArn") in earlier and child["status"] == "SUCCEEDED":
                self.outputs[child["_place"]] = json.loads(child["output"])

    def child(self, place: int) -> None:
        """Run one child, unless it has run or the map has ended; its record says how it ends."""
        if place in self.outputs or self.record["status"] != "RUNNING":
            return
        self.walk.check()
        record, walk = self._new(place)
        self._count("pending", "running")
        try:
            start = self.state["ItemProcessor"]["StartAt"]
            output = walk.run(start, walk.context["Execution"]["Input"])
            self.outputs[place] = output
            record |= {"status": "SUCCEEDED", "output": json.dumps(output)}
        except StateError as problem:
            record |= {"status": "FAILED", "error": problem.error, "cause": problem.cause}
            self.failures.append(f"{problem.error}: {problem.cause}")
            if self._too_many():
                self.end("FAILED")
        except (StoppedError, SuspendedError, OverdueError):
            record["status"] = "ABORTED"
        record["stopDate"] = now_iso()
        self._count("running", record["status"].lower())

    def end(self, status: str) -> None:
        """Say how the run ended, and end with it every child that runs."""
        self.record |= {"status": status, "stopDate": now_iso()}
        for child in self.children:
            if child["status"] == "RUNNING":
                child["status"] = "ABORTED"

    def _too_many(self) -> bool:
        failed, limits = len(self.failures), []
        if "ToleratedFailureCount" in self.state:
            limits.append(failed > self.state["ToleratedFailureCount"])
        if "ToleratedFailurePercentage" in self.state:
            most = self.state["ToleratedFailurePercentage"] * len(self.items)
            limits.append(failed * 100 > most)
        return any(limits) if limits else True

    def _count(self, before: str, after: str) -> None:
        counts = self.record["itemCounts"]
        with self.lock:
            counts[before] -= 1
            counts[after] += 1

    def _new(self, place: int) -> tuple[Record, Walk]:
        parent = self.walk
        item = {"Map": {"Item": {"Index": place, "Value": self.items[place]}}}
        selector = self.state.get("ItemSelector")
        data = self.items[place]
        if selector is not None:
            context = parent.context | item
            data = stepfunctions._resolve_params_obj(selector, self.given, context)
        name = str(uuid.uuid4())
        record = {
            "executionArn": f"{self.place}:{name}",
            "stateMachineArn": self.record["_stateMachineArn"],
            "name": name,
            "status": "RUNNING",
            "startDate": now_iso(),
            "stopDate": None,
            "input": json.dumps(data),
            "output": None,
            "mapRunArn": self.record["mapRunArn"],
            "events": [],
            "_place": place,
        }
        stepfunctions._executions[record["executionArn"]] = record
        self.children.append(record)
        execution = {
            "Id": record["executionArn"],
            "Input": data,
            "Name": name,
            "RoleArn": parent.role.role,
            "StartTime": record["startDate"],
        }
        context = {"Execution": execution, "StateMachine": parent.context["StateMachine"]}
        states = self.state["ItemProcessor"]["States"]
        walk = Walk(
            record=record,
            states=states,
            context=context,
            role=parent.role,
            act=parent.act,
            parent=parent,
        )
        return record, walk
