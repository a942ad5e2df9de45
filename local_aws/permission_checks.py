"""What IAM asks before a request is let through: which action, on which resource, with which keys.

Pure: a request in, the checks out. The emulator's own answer is right for most requests; what is
corrected here is where it names another resource than AWS, leaves a condition key out, or asks one
question where AWS asks two. Sources: the Service Authorization Reference of each service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qs

Json = Mapping[str, object]
Keys = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question to IAM."""

    action: str
    resource: str
    keys: Keys = field(default_factory=dict)
    """Condition keys of the request, in lower case."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What of the account decides a check beside the request itself."""

    partition_key: Callable[[str], str] = lambda table: ""
    """Name of a table's partition key, empty where there is no such table."""
    task_definition: Callable[[str], Json] = lambda name: {}
    """A task definition by ARN, family or `family:revision`; empty where there is none."""
    role_tags: Callable[[str], Mapping[str, str]] = lambda arn: {}
    """The tags of a role by its ARN."""
    secret_key: Callable[[str], str] = lambda arn: ""
    """The KMS key of a secret, by the secret's ARN; empty where it is AWS's own."""
    object_exists: Callable[[str], bool] = lambda arn: True
    """Whether there is an S3 object of that ARN."""


def checks(check: Check, body: bytes, place: tuple[str, str], state: State) -> list[Check]:
    """Return the checks that AWS makes for a request, given the emulator's own `check`.

    Args:
        check: Action, resource and keys as the emulator sees them.
        body: The request's body.
        place: Region and account of the request.
        state: What the account holds.
    """
    correct = _CORRECTIONS.get(check.action)
    if correct is None:
        return [check]
    return list(correct(check, _parsed(body), _Place(*place), state))


@dataclass(frozen=True)
class _Place:
    region: str
    account: str

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


_Correction = Callable[[Check, Json, _Place, State], Iterable[Check]]


def _parsed(body: bytes) -> Json:
    """Read a body of the JSON or the Query protocol; empty if it is neither."""
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("{"):
        try:
            parsed = json.loads(text)
        except ValueError:
            return {}
        return cast(Json, parsed)
    return {name: values[0] for name, values in parse_qs(text).items()}


# --- DynamoDB ----------------------------------------------------------------------------------


def _item(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Say which partitions are touched: a condition on none of them would hold for every one."""
    table = check.resource.rpartition("/")[2]
    name = state.partition_key(table)
    found = []
    action = check.action.partition(":")[2].removesuffix("Item")
    for entry in cast(list[Json], body.get("TransactItems", [{action: body}])):
        for member, detail in entry.items():
            if member == action or {member, action} == {"ConditionCheck", "ConditionCheckItem"}:
                values = cast(Json, detail)
                item = cast(Json, values.get("Item") or values.get("Key") or {})
                found += [str(value) for value in cast(Json, item.get(name, {})).values()]
    yield _on_partitions(check, found)


_EQUALITY = re.compile(r"(?P<name>#?[\w.-]+)\s*=\s*(?P<value>:\w+)")
_EQUALITY_REVERSED = re.compile(r"(?P<value>:\w+)\s*=\s*(?P<name>#?[\w.-]+)")


def _query(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Say which partition is read: a query names one, by its own expression or the older form."""
    key = state.partition_key(check.resource.rpartition("/")[2])
    names = cast(Mapping[str, str], body.get("ExpressionAttributeNames") or {})
    values = cast(Mapping[str, Json], body.get("ExpressionAttributeValues") or {})
    expression = str(body.get("KeyConditionExpression") or "")
    found = [
        str(value)
        for form in (_EQUALITY, _EQUALITY_REVERSED)
        for clause in form.finditer(expression)
        if names.get(clause["name"], clause["name"]) == key
        for value in values.get(clause["value"], {}).values()
    ]
    older = cast(Mapping[str, Mapping[str, list[Json]]], body.get("KeyConditions") or {})
    for attribute in older.get(key, {}).get("AttributeValueList", []):
        found += [str(value) for value in attribute.values()]
    yield _on_partitions(check, found)


def _on_partitions(check: Check, found: list[str]) -> Check:
    keys = {**check.keys, "dynamodb:leadingkeys": found} if found else check.keys
    return Check(action=check.action, resource=check.resource, keys=keys)


# --- ECS ---------------------------------------------------------------------------------------


def _cluster(body: Json) -> str:
    return str(body.get("cluster", "default")).rpartition("/")[2]


def _with_cluster(check: Check, body: Json, place: _Place) -> Keys:
    return {**check.keys, "ecs:cluster": place.arn("ecs", f"cluster/{_cluster(body)}")}


def _of_cluster(kind: str, names: str) -> _Correction:
    """Ask on each named service or task, not on its cluster."""

    def correct(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
        for name in cast(list[str], body.get(names, [])):
            short = name.rpartition("/")[2]
            yield Check(
                action=check.action,
                resource=place.arn("ecs", f"{kind}/{_cluster(body)}/{short}"),
                keys=_with_cluster(check, body, place),
            )

    return correct


def _run_task(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask for the definition, for tags of the task, and whether its roles may be passed on."""
    name = str(body.get("taskDefinition", ""))
    definition = state.task_definition(name)
    arn = str(definition.get("taskDefinitionArn", place.arn("ecs", f"task-definition/{name}")))
    yield Check(action=check.action, resource=arn, keys=_with_cluster(check, body, place))
    if body.get("tags") or body.get("propagateTags"):
        yield Check(
            action="ecs:TagResource",
            resource=place.arn("ecs", f"task/{_cluster(body)}/*"),
            keys={**_with_cluster(check, body, place), "ecs:createaction": "RunTask"},
        )
    overrides = cast(Json, body.get("overrides") or {})
    for role in ("taskRoleArn", "executionRoleArn"):
        if passed := overrides.get(role) or definition.get(role):
            yield _pass(str(passed), "ecs-tasks.amazonaws.com")


def _pass(role: str, service: str) -> Check:
    return Check(action="iam:PassRole", resource=role, keys={"iam:passedtoservice": service})


def _on_everything(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask on `*`: the action knows no resources."""
    yield Check(action=check.action, resource="*", keys=check.keys)


# --- CloudWatch, EventBridge -------------------------------------------------------------------


def _put_metric_data(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    namespace = body.get("Namespace")
    keys = {**check.keys, "cloudwatch:namespace": namespace} if namespace else check.keys
    yield Check(action=check.action, resource="*", keys=keys)


def _describe_alarms(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask on every alarm: a look-up by name or by prefix is a look at all of them."""
    yield Check(action=check.action, resource=place.arn("cloudwatch", "alarm:*"), keys=check.keys)


def _put_events(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask once an event: each has its own source, and one that may not be sent refuses all."""
    for entry in cast(list[Json], body.get("Entries", [])):
        bus = str(entry.get("EventBusName") or "default").rpartition("/")[2]
        source = {"events:source": entry.get("Source", "")}
        detail = {"events:detail-type": entry.get("DetailType", "")}
        yield Check(
            action=check.action,
            resource=place.arn("events", f"event-bus/{bus}"),
            keys={**check.keys, **source, **detail},
        )


def _of_log_group(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask on the streams of the group, as AWS's own denials write it: a policy needs a `:*`."""
    resource = f"{check.resource.removesuffix(':*')}:log-stream:"
    yield Check(action=check.action, resource=resource, keys=check.keys)


def _of_log_stream(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask on the stream that is read: a policy that names its group needs a `:*`."""
    stream = body.get("logStreamName", "")
    resource = f"{check.resource.removesuffix(':*')}:log-stream:{stream}"
    yield Check(action=check.action, resource=resource, keys=check.keys)


def _of_builds(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask on the project of each build, which its id begins with."""
    for build in cast(list[str], body.get("ids", [])):
        resource = place.arn("codebuild", f"project/{build.partition(':')[0]}")
        yield Check(action=check.action, resource=resource, keys=check.keys)


# --- S3, Secrets Manager, STS, CloudFormation, Step Functions ----------------------------------


def _get_object(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask for the list, too, where a key is missing: only who may list learns that it is."""
    yield check
    if not state.object_exists(check.resource):
        yield Check(
            action="s3:ListBucket", resource=check.resource.partition("/")[0], keys=check.keys
        )


def _get_secret(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask for the secret's key, too, where it has one: the caller decrypts, through the service."""
    yield check
    if key := state.secret_key(check.resource):
        keys = {
            "kms:viaservice": f"secretsmanager.{place.region}.amazonaws.com",
            "kms:encryptioncontext:secretarn": check.resource,
        }
        yield Check(action="kms:Decrypt", resource=key, keys=keys)


def _assume_role(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    tags = {
        f"{prefix}:resourcetag/{name}".lower(): value
        for name, value in state.role_tags(check.resource).items()
        for prefix in ("iam", "aws")
    }
    yield Check(action=check.action, resource=check.resource, keys={**check.keys, **tags})


def _change_stack(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask whether the role that CloudFormation is to have may be passed to it."""
    yield check
    if role := body.get("RoleARN"):
        yield _pass(str(role), "cloudformation.amazonaws.com")


def _change_machine(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask whether the role that Step Functions is to have may be passed to it."""
    yield check
    if role := body.get("roleArn"):
        yield _pass(str(role), "states.amazonaws.com")


def _of_map_run(check: Check, body: Json, place: _Place, state: State) -> Iterator[Check]:
    """Ask on the map run, where one is named."""
    resource = str(body.get("mapRunArn") or check.resource)
    yield Check(action=check.action, resource=resource, keys=check.keys)


_CORRECTIONS: Mapping[str, _Correction] = {
    **{
        f"dynamodb:{name}": _item
        for name in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
    },
    "dynamodb:Query": _query,
    "ecs:RunTask": _run_task,
    "ecs:DescribeServices": _of_cluster("service", "services"),
    "ecs:DescribeTasks": _of_cluster("task", "tasks"),
    "ecs:DescribeTaskDefinition": _on_everything,
    "cloudwatch:PutMetricData": _put_metric_data,
    "cloudwatch:DescribeAlarms": _describe_alarms,
    "codebuild:BatchGetBuilds": _of_builds,
    "logs:FilterLogEvents": _of_log_group,
    "logs:GetLogEvents": _of_log_stream,
    "events:PutEvents": _put_events,
    "s3:GetObject": _get_object,
    "secretsmanager:GetSecretValue": _get_secret,
    "sts:AssumeRole": _assume_role,
    "states:CreateStateMachine": _change_machine,
    "states:UpdateStateMachine": _change_machine,
    "states:DescribeMapRun": _of_map_run,
    "states:ListExecutions": _of_map_run,
    "cloudformation:CreateChangeSet": _change_stack,
    "cloudformation:CreateStack": _change_stack,
    "cloudformation:UpdateStack": _change_stack,
    "cloudformation:DeleteStack": _change_stack,
}
