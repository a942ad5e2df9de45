"""A stage that answers files of records, and ways to read its templates."""

from __future__ import annotations

from typing import Any

from cdk_app.settings import CONTEXT_KEY
from tests.infrastructure.synthesised import CONTEXT, Assembly, Json, listed

STAGE: Json = CONTEXT[CONTEXT_KEY]["stages"][0]
"""The stage of cdk.json."""
HERE, THERE = "111111111111", "222222222222"


def stages(**settings: object) -> Json:
    """Settings of a stage that answers files of records, with changes."""
    return {"stages": [{**STAGE, "records": {}, **settings}]}


def with_a_stage_elsewhere() -> Json:
    """Settings with a second stage, of another account and region."""
    prod = {
        "name": "prod",
        "account": THERE,
        "region": "eu-west-1",
        "availability_zones": ["eu-west-1a", "eu-west-1b"],
        "vpc_cidr": "10.21.0.0/16",
        "records": {"expire_days": 30},
    }
    return {**CONTEXT[CONTEXT_KEY], "account": HERE, "stages": [*stages()["stages"], prod]}


def flat(value: Any) -> Any:
    """A template's text with what CloudFormation joins joined, references by their names."""
    match value:
        case {"Fn::Join": [str(between), [*parts]]}:
            return between.join(str(flat(part)) for part in parts)
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return f"<{name}>"
        case dict():
            return {key: flat(item) for key, item in value.items()}
        case list():
            return [flat(item) for item in value]
    return value


def statements_of(assembly: Assembly, stack: str, role: str) -> list[Json]:
    """What the one role may whose logical id begins so."""
    (found,) = (
        statements for name, statements in assembly.statements(stack).items() if role in name
    )
    read: list[Json] = flat(found)
    return read


def granted(statements: list[Json]) -> dict[str, list[str]]:
    """The resources of each action, without account and region."""
    found: dict[str, list[str]] = {}
    for statement in statements:
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            resources = [
                str(item).rpartition("<AWS::AccountId>") for item in listed(statement["Resource"])
            ]
            found.setdefault(action, []).extend(end.lstrip(":") for _, _, end in resources)
    return {action: sorted(ends) for action, ends in found.items()}
