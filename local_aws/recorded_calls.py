"""Write down which statement of a deployed role allowed which call, as a run recorded them.

`python -m local_aws.recorded_calls docs/recorded_permissions.json`, while the local AWS still runs
that `make up` has started from nothing. Every role of a stack is there, with every statement of its
own policies; a statement has the first call of the run that it allowed, or none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from ministack.core import iam_evaluator

from local_aws.settings import PERMISSION_CALLS_LOG, CloudSettings

STATE = Path(".local")
OURS = "prompt-hub"

Call = Mapping[str, Any]
Statement = Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file that is named."""
    (target,) = sys.argv[1:] if arguments is None else arguments
    settings = CloudSettings.load(STATE / "cloud.json")
    log = (settings.state / PERMISSION_CALLS_LOG).read_text(encoding="utf-8")
    calls = [json.loads(line) for line in log.splitlines()]
    found = [
        {**policy, "statements": used(policy.pop("statements"), calls, policy["role"])}
        for policy in _deployed(settings)
    ]
    # One line a policy: a new recording is read as a difference.
    lines = [json.dumps(policy, sort_keys=True) for policy in found]
    Path(target).write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return 0


def used(statements: Iterable[Statement], calls: Iterable[Call], role: str) -> list[Statement]:
    """Return each statement, and the first call of `role` that it allowed as `call`."""
    own = [call for call in calls if call["role"] == role]
    return [
        {"statement": statement, "call": next((c for c in own if allows(statement, c)), None)}
        for statement in statements
    ]


def allows(statement: Statement, call: Call) -> bool:
    """Whether one statement of a policy, alone, lets a recorded call through."""
    parsed = iam_evaluator.parse_policy_document({"Statement": [statement]})
    decision: str = iam_evaluator.evaluate(context_of(call), [parsed]).decision
    return decision == "Allow"


def context_of(call: Call) -> iam_evaluator.EvalContext:
    """Return a recorded call as the evaluator takes it."""
    parts = call["resource"].split(":")
    return iam_evaluator.EvalContext(
        principal_arn=call["role"],
        principal_type="AssumedRole",
        principal_account=parts[4] if len(parts) > 4 else "",
        action=call["action"],
        resource_arn=call["resource"],
        region=parts[3] if len(parts) > 3 else "",
        secure_transport=True,
        service_context=dict(call["keys"]),
    )


def _deployed(settings: CloudSettings) -> Iterable[dict[str, Any]]:
    """Yield the own policies of the roles that our stacks made, by their names."""
    session = boto3.Session(settings.account, "local", region_name=settings.region)
    cloudformation = session.client("cloudformation", endpoint_url=settings.endpoint)
    iam = session.client("iam", endpoint_url=settings.endpoint)
    stacks = [stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]]
    for stack in sorted(name for name in stacks if name.startswith(OURS)):
        resources = cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
        for resource in sorted(resources, key=lambda item: item["LogicalResourceId"]):
            if resource["ResourceType"] != "AWS::IAM::Role":
                continue
            role = resource["PhysicalResourceId"]
            for name in sorted(iam.list_role_policies(RoleName=role)["PolicyNames"]):
                got: Any = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
                document = json.loads(got) if isinstance(got, str) else got
                yield {
                    "stack": stack,
                    "logical_id": resource["LogicalResourceId"],
                    "role": role,
                    "policy": name,
                    "statements": document["Statement"],
                }


if __name__ == "__main__":
    sys.exit(main())
