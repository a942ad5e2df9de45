"""Checks what a service of AWS does by itself in a role: may it be the role, may the role do it?

On AWS a service assumes the role and calls the other service. Here it is one process, which calls
nobody: what it is about to do is asked first, as `permissions` asks it of a request. Whether the
service may be the role at all, the role's trust policy says, with `aws:SourceArn` and
`aws:SourceAccount` of what the service acts for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core import iam_evaluator
from ministack.services import iam

from local_aws import permissions
from local_aws.permission_checks import Check, Keys


class DeniedError(Exception):
    """IAM does not allow what a service was about to do; the message says who may not do what."""


@dataclass(frozen=True, kw_only=True)
class ServiceRole:
    """A role that `service` is, for `source`; or that another role is, where there is `via`."""

    role: str
    service: str
    source: str
    """ARN of what the service acts for: a task, a project, a rule, a pipeline."""
    via: ServiceRole | None = None

    @property
    def name(self) -> str:
        """The role's name."""
        return self.role.rpartition("/")[2]

    @property
    def account(self) -> str:
        """The account of what the service acts for."""
        return self.source.split(":")[4]

    @property
    def place(self) -> str:
        """Region and account of what the service acts for."""
        return ":".join(self.source.split(":")[3:5])

    def credentials(self, session: str) -> dict[str, str]:
        """Return variables with which a process has the role; raises `DeniedError`."""
        self.require()
        return permissions.credentials(self.role, session, self.account)

    def require(self, *checks: Check) -> None:
        """Go on only if the role may be had and allows all of `checks`; raises `DeniedError`."""
        if permissions.mode() == "off" or not (self.role or checks):
            return
        record = iam._roles.get(self.name)
        # A name alone is taken, too, by ECS; another account's role has another ARN.
        if record is None or self.role not in {self.name, record["Arn"]}:
            self._missing(*checks)
            return
        if self.via:
            self.via.require(Check(action="sts:AssumeRole", resource=self.role))
        self._trusted(record)
        policies = iam_evaluator._gather_role_policies(self.name, self.account)
        limits = iam_evaluator._permissions_boundary(iam._roles, self.name, self.account)
        for check in checks:
            context = _context(record["Arn"], check)
            result = iam_evaluator.evaluate(context, policies, *limits)
            found = iam_evaluator._resource_policy(check.action.split(":")[0], check.resource)
            if found is not None:
                result = iam_evaluator.combine_resource_policy(
                    result, context, *found, limits=limits
                )
            _settle(self.name, check, result.decision, policies)

    def _missing(self, *checks: Check) -> None:
        """Deny what needs a role that is not there, or that nothing names."""
        reason = (
            f"there is no role {self.role}, which {self.service} was to be"
            if self.role
            else f"{self.source} names no role, without which {self.service} may do nothing"
        )
        asked = next(iter(checks), Check(action="sts:AssumeRole", resource=self.role))
        permissions.deny(self.name or self.service, asked, [], reason=f"{reason}.")
        if permissions.mode() == "enforce":
            raise DeniedError(f"{reason}.")

    def _trusted(self, record: Mapping[str, Any]) -> None:
        """Ask the trust policy, whose statements are for one resource: the role itself."""
        document = record.get("AssumeRolePolicyDocument") or {}
        if self.via:
            who = f"arn:aws:sts::{self.account}:assumed-role/{self.via.name}/{self.via.name}"
            check = Check(action="sts:AssumeRole", resource=self.role)
            _ask_resource(document, check, who, "", self.via.name)
        else:
            check = Check(action="sts:AssumeRole", resource=self.role, keys=_behalf(self.source))
            _ask_resource(document, check, self.service, self.service, self.service)


def of_task(field: str, task: Mapping[str, Any], definition: Mapping[str, Any]) -> ServiceRole:
    """Return one of the two roles of a task, as ECS has it."""
    role = (task.get("overrides") or {}).get(field) or definition.get(field) or ""
    return ServiceRole(role=role, service="ecs-tasks.amazonaws.com", source=task["taskArn"])


def require_of_resource(check: Check, service: str, source: str) -> None:
    """Go on only if a resource's own policy lets a service do this; raises `DeniedError`."""
    if permissions.mode() == "off":
        return
    found = iam_evaluator._resource_policy(check.action.split(":")[0], check.resource)
    asked = Check(action=check.action, resource=check.resource, keys=_behalf(source))
    _ask_resource(found[0] if found else {}, asked, service, service, service)


def _behalf(source: str) -> Keys:
    account = source.split(":")[4]
    keys = {"aws:sourcearn": source, "aws:sourceaccount": account}
    return {**keys, "aws:principalisawsservice": "true"}


def _ask_resource(document: object, check: Check, who: str, service: str, name: str) -> None:
    parsed: Any = json.loads(document) if isinstance(document, str) else document
    statements = [
        {"Resource": check.resource, **statement}
        for statement in _listed((parsed or {}).get("Statement") or [])
        # AWS takes no policy without; the evaluator would take it for every action and anybody.
        if (statement.get("Action") or statement.get("NotAction")) and statement.get("Principal")
    ]
    context = _context(who, check)
    result = iam_evaluator.evaluate_resource_policy({"Statement": statements}, context, service)
    applicable = [
        statement
        for statement in statements
        if iam_evaluator._service_principal_matches(statement["Principal"], service)
        or iam_evaluator._names_caller(statement["Principal"], who)
    ]
    policies = [iam_evaluator.parse_policy_document({"Statement": applicable})]
    _settle(name, check, result.decision, policies)


def _listed(value: Any) -> Iterable[Mapping[str, Any]]:  # noqa: ANN401 - a policy of the emulator
    return [value] if isinstance(value, dict) else value


def _context(who: str, check: Check) -> iam_evaluator.EvalContext:
    return iam_evaluator.EvalContext(
        principal_arn=who,
        principal_type="AssumedRole",
        principal_account=who.split(":")[4] if who.startswith("arn:") else "",
        action=check.action,
        resource_arn=check.resource,
        region=check.resource.split(":")[3] if check.resource.startswith("arn:") else "",
        secure_transport=True,
        service_context=dict(check.keys),
    )


def _settle(name: str, check: Check, decision: str, policies: list[list[Any]]) -> None:
    if decision == "Allow":
        permissions.record(name, check)
        return
    text = permissions.deny(name, check, policies, explicit=decision == "Deny")
    if permissions.mode() == "enforce":
        raise DeniedError(text)
