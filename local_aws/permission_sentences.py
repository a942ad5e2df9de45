"""Say in a sentence who may not do what, and which statement came closest to letting them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ministack.core import iam_evaluator

from local_aws.permission_checks import Check


def sentence(
    role: str, check: Check, policies: Sequence[Sequence[Any]], *, explicit: bool = False
) -> str:
    """Say who may not do what, and why the statement that came closest does not let it through."""
    found = f"{role} may not {check.action} on {check.resource}"
    effect = "Deny" if explicit else "Allow"
    having = [
        statement
        for policy in policies
        for statement in policy
        if statement.effect == effect
        and iam_evaluator._action_matches(check.action, statement.actions, statement.not_actions)
    ]
    on = [
        statement
        for statement in having
        if iam_evaluator._resource_matches(
            check.resource, statement.resources, statement.not_resources
        )
    ]
    if explicit:
        whose = "a statement of its own" if on else "its boundary or the resource's own policy"
        return f"{found}: {whose} denies it."
    if any(not statement.conditions for statement in on):
        return f"{found}: its policies allow it, its permissions boundary or its session does not."
    if on:
        names = [name for test in on[0].conditions.values() for name in test]
        keys = {name: check.keys.get(name.lower()) for name in names}
        return (
            f"{found}: it is allowed only under {json.dumps(on[0].conditions)},"
            f" and the request has {json.dumps(keys, default=str)}."
        )
    if having:
        resources = dict.fromkeys(name for statement in having for name in statement.resources)
        return f"{found}: it is allowed only on {', '.join(resources)}."
    return f"{found}: no statement of its policies has that action."
