"""Which statements of the roles a run of the local AWS used, and why it did not use others.

`docs/recorded_permissions.json` is what `python -m local_aws.recorded_calls` wrote after a
`make up` from nothing and `make records`, under `enforce`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict, cast

from docs.policy_words import listed
from docs.synthesised import Json, Resource

RECORDED = Path(__file__).parent / "recorded_permissions.json"


class Call(TypedDict):
    """A call that IAM allowed."""

    role: str
    action: str
    resource: str
    keys: Json


class Recorded(TypedDict):
    """A statement as it was deployed, and the first call that it allowed."""

    statement: Json
    call: Call | None


class Policy(TypedDict):
    """A policy of a role as it was deployed."""

    stack: str
    logical_id: str
    role: str
    policy: str
    statements: list[Recorded]


def read_recorded() -> list[Policy]:
    """Read the recorded run."""
    return cast(list[Policy], json.loads(RECORDED.read_text(encoding="utf-8")))


class Used:
    """Knows of each statement of a template whether the recorded run used it."""

    def __init__(self, recorded: list[Policy]) -> None:
        self._policies: Mapping[tuple[str, str], list[Recorded]] = {
            (policy["stack"], policy["policy"]): policy["statements"] for policy in recorded
        }

    def was(self, policy: Resource, place: int) -> bool:
        """Whether a call used the statement at `place`.

        What was recorded of it is found by its actions, as other statements come and go.
        """
        name = policy.text("PolicyName")
        recorded = self._policies.get((policy.stack, name), [])
        document = cast(Json, policy.properties["PolicyDocument"])
        statements = [cast(Json, one) for one in listed(document["Statement"])]
        # Others may have come in between since: of those that are alike the first is the first.
        kind = _kind(statements[place])
        before = sum(_kind(statement) == kind for statement in statements[:place])
        alike = [entry for entry in recorded if _kind(entry["statement"]) == kind]
        return before < len(alike) and alike[before]["call"] is not None


def _kind(statement: Json) -> tuple[object, list[object]]:
    """Return what a template and what was deployed of it have in common: no resource's name."""
    return statement.get("Effect"), listed(statement.get("Action"))


REASONS: tuple[tuple[str, str], ...] = (
    (
        r'"Effect": "Deny"',
        "It takes away; the local remote is reached over no connection, and nobody asked to write.",
    ),
    (
        r"^Role (?:prompt-hub-dev-on-call|OnCallRole)",
        "In the run nobody was on call; tests/local_aws/test_on_call.py runs each documented"
        " command of `prompt-hub` as this role.",
    ),
    (
        r"RecordsRole .*states:(?:StopExecution|RedriveExecution)",
        "Nothing stopped the run over records or took it up again, which is when its children are"
        " looked at; tests/local_aws/test_state_machines.py does both.",
    ),
    (
        r"RecordsRole .*sns:Publish",
        "In the run every file was planned; tests/local_aws/test_state_machines.py has a state that"
        " tells people, and one that may not.",
    ),
    (
        r"logs:CreateLogDelivery",
        "The log of a state machine is delivered by AWS alone; here it is not kept.",
    ),
    (
        r"PullRequests|pull-requests",
        "Pull requests are checked on GitHub, with a token that only GitHub gives.",
    ),
    (
        r"log-group:/aws/codebuild/",
        "CDK grants every project a log group of its own name; ours write into another.",
    ),
    (r"codebuild:CreateReport", "CDK grants every project reports; no build of ours makes any."),
    (
        r"codebuild:StartBuild.*\"Resource\": \"\*\"",
        "CDK grants it to what publishes assets, for builds in batches: there are none here.",
    ),
    (r"bedrock:InvokeModel", "The models of a local run are not Bedrock's."),
    (
        r"RollbackRole.*GetMetricData",
        "No call of the run broke its contract, so none was counted, and nothing here takes traces;"
        " tests/local_aws/test_live_calls.py has calls that do.",
    ),
    (
        r"BuildSynth.*sns:Publish",
        "In the run every prompt was valid; tests/unit/validation/test_folding.py has one that is"
        " not.",
    ),
    (r"VpcRefused", "Flow logs are only recorded here."),
    (
        r"WatchEventsRole",
        "The schedule of the score watch did not come round in the run, which started one itself;"
        " tests/local_aws/test_watch_schedule.py waits for it.",
    ),
    (
        r"PromptHub/Service",
        "The service counts only what goes wrong, and nothing did;"
        " tests/local_aws/test_permissions.py takes the statement away.",
    ),
    (
        r"RollbackRole.*(?:DescribeAlarms|PutMetricData)",
        "A schedule has the Lambda look for alarms that were missed, and count of which tasks the"
        " watch should be heard; it did not come round; tests/local_aws/test_permissions.py takes"
        " the statements away.",
    ),
    (
        r'"s3:ListBucket", "Effect": "Allow"',
        "Only a read of what is missing asks for it, and nothing was missing.",
    ),
    (
        r"s3:PutObjectAcl|s3:PutObjectLegalHold",
        "CDK's own, for artifacts; with roles of their own the actions do this, and no rights of an"
        " object are set.",
    ),
    (r"/examples/\*\.jsonl", "The examples of the run are all in git."),
    (
        r"cloudformation:DescribeStacks\", \"s3:ListBucket",
        "CDK's own; its command line assumed the role of the bootstrap for that.",
    ),
)
"""What the recorded run did not use, by a pattern in the statement's JSON, and why."""


UNEXPLAINED = "Nobody has said why."


def why_unused(role: str, statement: Json) -> str:
    """Say why a run did not use a statement of a role, empty where nobody has said it."""
    said = f"{role} {json.dumps(statement, sort_keys=True)}"
    return next((reason for pattern, reason in REASONS if re.search(pattern, said)), "")
