"""Each statement that the recorded run used is needed: without it, its call is denied.

Decided against the recording, so every statement of every role is taken out in turn, in a second.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.core import iam_evaluator

from docs.used_statements import Policy, Recorded, read_recorded
from local_aws.permission_checks import Check
from local_aws.permission_sentences import sentence
from local_aws.recorded_calls import allows, context_of

pytestmark = pytest.mark.shipped

RECORDED = read_recorded()
USED = [
    (policy, place)
    for policy in RECORDED
    for place, recorded in enumerate(policy["statements"])
    if recorded["call"]
]


def of_role(policy: Policy) -> list[Recorded]:
    """Every recorded statement of the role that has `policy`."""
    return [
        recorded
        for other in RECORDED
        if (other["stack"], other["role"]) == (policy["stack"], policy["role"])
        for recorded in other["statements"]
    ]


def decided(statements: list[Recorded], call: Any) -> tuple[str, str]:
    """What IAM decides about a call, and what the local AWS would say of it."""
    document = {"Statement": [recorded["statement"] for recorded in statements]}
    policies = [iam_evaluator.parse_policy_document(document)]
    decision = iam_evaluator.evaluate(context_of(call), policies).decision
    check = Check(action=call["action"], resource=call["resource"], keys=call["keys"])
    return decision, sentence(call["role"], check, policies)


@pytest.mark.parametrize(
    ("policy", "place"), USED, ids=[f"{policy['policy']}-{place}" for policy, place in USED]
)
def test_a_used_statement_that_is_taken_out_is_missed(policy: Policy, place: int) -> None:
    recorded, whole = policy["statements"][place], of_role(policy)
    call: Any = recorded["call"]
    assert decided(whole, call)[0] == "Allow"
    # CDK says some things twice, of a project's log or an artifact bucket: both go.
    decision, said = decided(
        [other for other in whole if not allows(other["statement"], call)], call
    )
    assert decision == "ImplicitDeny"
    assert said.startswith(f"{call['role']} may not {call['action']} on {call['resource']}: ")
    assert (
        said.endswith("no statement of its policies has that action.")
        or said.partition(": it is allowed only on ")[2]
    )


@pytest.mark.parametrize(
    ("policy", "place"),
    [item for item in USED if "Condition" in item[0]["statements"][item[1]]["statement"]],
    ids=lambda value: str(value if isinstance(value, int) else value["policy"]),
)
def test_a_condition_that_does_not_hold_is_said(policy: Policy, place: int) -> None:
    recorded: Any = policy["statements"][place]
    call = recorded["call"]
    conditions = recorded["statement"]["Condition"]
    names = [name for test in conditions.values() for name in test]
    keys = {
        key: value
        for key, value in call["keys"].items()
        if key.lower() not in {name.lower() for name in names}
    }
    other = {**keys, **{name.lower(): "other" for name in names}}
    decision, said = decided(of_role(policy), {**call, "keys": other})
    assert decision == "ImplicitDeny"
    assert json.dumps(conditions) in said
    for name in names:
        assert f'"{name}": "other"' in said


def test_the_recording_is_of_a_run_that_used_every_process_of_ours() -> None:
    used = {policy["policy"] for policy, _ in USED}
    for part in ("Promote", "Image", "Activate", "SmokeTest", "Drill", "Record", "TaskRole"):
        assert any(part in name for name in used), part
