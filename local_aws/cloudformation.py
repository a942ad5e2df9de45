"""CloudFormation types that the emulator lacks and that nothing has to act on: record-only.

A record-only resource gets a stable id and the attributes that templates refer to, and that is
all. Types that do something (`AWS::CodePipeline::Pipeline`) are registered by the module that does
it, with `register`. A type that is neither here nor in the emulator fails the stack: the emulator
refuses the template with "Unrecognized resource types".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local_aws.settings import CloudSettings

Properties = Mapping[str, Any]
Provisioned = tuple[str, dict[str, str]]
"""What CloudFormation keeps of a resource: what `Ref` answers, and what `Fn::GetAtt` answers."""


@dataclass(frozen=True)
class RecordOnly:
    """How `Ref` and `Fn::GetAtt` answer for a type that is only recorded.

    Texts may name `{token}` (17 hex digits, stable for the resource), `{account}`, `{region}`,
    `{logical_id}` and any scalar property; an attribute may also name `{ref}`.
    """

    ref: str
    attributes: Mapping[str, str] = field(default_factory=dict)


_CONNECTION = RecordOnly(
    "arn:aws:codeconnections:{region}:{account}:connection/{token}",
    {
        "ConnectionArn": "{ref}",
        "ConnectionStatus": "AVAILABLE",  # no person has to approve a local remote
        "OwnerAccountId": "{account}",
    },
)

RECORD_ONLY: dict[str, RecordOnly] = {
    "AWS::ApplicationAutoScaling::ScalableTarget": RecordOnly(
        "{ResourceId}|{ScalableDimension}|{ServiceNamespace}", {"Id": "{ref}"}
    ),
    "AWS::ApplicationAutoScaling::ScalingPolicy": RecordOnly(
        "arn:aws:autoscaling:{region}:{account}:scalingPolicy:{token}:policyName/{logical_id}",
        {"Arn": "{ref}"},
    ),
    "AWS::CodeConnections::Connection": _CONNECTION,
    "AWS::CodeStarConnections::Connection": _CONNECTION,
    "AWS::EC2::EIP": RecordOnly(
        "192.0.2.1", {"AllocationId": "eipalloc-{token}", "PublicIp": "{ref}"}
    ),
    "AWS::EC2::FlowLog": RecordOnly("fl-{token}", {"Id": "{ref}"}),
    "AWS::EC2::NatGateway": RecordOnly("nat-{token}", {"NatGatewayId": "{ref}"}),
    "AWS::EC2::SecurityGroupEgress": RecordOnly("sgr-{token}", {"Id": "{ref}"}),
    "AWS::EC2::SecurityGroupIngress": RecordOnly("sgr-{token}", {"Id": "{ref}"}),
}

RECORDED_INSTEAD = {"AWS::Route53::RecordSet": RecordOnly("{Name}", {})}
"""Types of the emulator that need what only AWS has: a hosted zone that somebody else made."""


def install(settings: CloudSettings) -> None:
    """Register every record-only type that the emulator does not have itself."""
    for name, kind in RECORD_ONLY.items():
        assert name not in _handlers(), f"the emulator has {name} now: drop it here"
        _register_record_only(name, kind, settings)
    for name, kind in RECORDED_INSTEAD.items():
        assert name in _handlers(), f"the emulator has no {name} any more: it is record-only"
        _register_record_only(name, kind, settings)
    for name, why_not in (("AWS::DynamoDB::Table", _kept_table), ("AWS::S3::Bucket", _full_bucket)):
        _handlers()[name] = {**_handlers()[name]}
        _handlers()[name]["delete"] = _unless(why_not, _handlers()[name]["delete"])
    tables = _handlers()["AWS::DynamoDB::Table"]
    tables["update"] = _unless(_lost_table, tables["update"])
    from ministack.services.cloudformation import _ACTION_HANDLERS

    _ACTION_HANDLERS["DeleteStack"] = _with_what_a_rollback_left(_ACTION_HANDLERS["DeleteStack"])


def register(
    name: str,
    *,
    create: Callable[[str, Properties, str], Provisioned],
    update: Callable[[str, Properties, Properties, str], Provisioned],
    delete: Callable[[str, Properties], None],
) -> None:
    """Add a resource type, or replace the emulator's.

    `create(logical_id, properties, stack_name)`, `update(physical_id, old, new, stack_name)` and
    `delete(physical_id, properties)` run on the event loop that also answers requests: they must
    not block, and never call the emulator over HTTP. An exception they raise fails the resource.
    """
    _handlers()[name] = {"create": create, "update": update, "delete": delete}


def _unless(why_not: Callable[[str], str], act: Callable[..., object]) -> Callable[..., object]:
    """Do it unless there is a reason not to: the emulator does what AWS refuses."""

    def guarded(name: str, *rest: object) -> object:
        if reason := why_not(name):
            raise ValueError(reason)
        return act(name, *rest)

    return guarded


def _with_what_a_rollback_left(delete: Callable[..., object]) -> Callable[..., object]:
    """Delete also what could not be deleted when the creation failed: the emulator forgets it."""

    def delete_stack(parameters: Mapping[str, Any]) -> object:
        from ministack.services.cloudformation import _stacks

        stack = _stacks.get(next(iter(parameters.get("StackName") or [""])), {})
        if stack.get("StackStatus") == "ROLLBACK_FAILED":
            stack["_resources"] = {**stack["_resources"], **stack.pop("_rollback_failed", {})}
        return delete(parameters)

    return delete_stack


def _kept_table(name: str) -> str:
    from ministack.services import dynamodb

    kept = dynamodb._tables.get(name, {}).get("DeletionProtectionEnabled")
    return "Resource cannot be deleted as it is currently protected" if kept else ""


def _lost_table(name: str) -> str:
    from ministack.services import dynamodb

    return "" if name in dynamodb._tables else f"Requested resource not found: Table: {name}"


def _full_bucket(name: str) -> str:
    from ministack.services import s3

    full = s3._buckets.get(name, {}).get("objects")
    return f"The bucket you tried to delete is not empty: {name}" if full else ""


def stable_token(*parts: str) -> str:
    """17 hex digits that are the same whenever `parts` are."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:17]


def _register_record_only(name: str, kind: RecordOnly, settings: CloudSettings) -> None:
    def create(logical_id: str, properties: Properties, stack_name: str) -> Provisioned:
        values = {key: value for key, value in properties.items() if isinstance(value, str | int)}
        values |= {
            "token": stable_token(stack_name, logical_id),
            "logical_id": logical_id,
            "account": settings.account,
            "region": settings.region,
        }
        ref = values["ref"] = kind.ref.format_map(values)
        return ref, {key: text.format_map(values) for key, text in kind.attributes.items()}

    def update(
        ref: str, old: Properties, new: Properties, stack_name: str, logical_id: str
    ) -> Provisioned:
        return create(logical_id, new, stack_name)

    _handlers()[name] = {
        "create": create,
        "update": update,
        "update_with_logical_id": True,
        "delete": lambda ref, properties: None,
    }


def _handlers() -> dict[str, dict[str, Any]]:
    from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

    table: dict[str, dict[str, Any]] = _RESOURCE_HANDLERS
    return table
