"""Say statements of IAM policies, as templates have them, in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import cast

from docs.synthesised import Json

Naming = Callable[[str], str]
"""What a logical id of the same stack is called on the page."""

_PSEUDO = re.compile(r"AWS::(\w+)")
_VARIABLE = re.compile(r"\$\{(!?)([\w.:]+)\}")
_OPERATORS = {
    "StringEquals": "is",
    "StringLike": "is like",
    "StringNotEquals": "is not",
    "StringEqualsIgnoreCase": "is, in upper or lower case,",
    "ArnEquals": "is",
    "ArnLike": "is like",
    "Bool": "is",
    "Null": "is missing:",
}
_ASSUMED = {"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"}


def sentence(statement: Json, name: Naming) -> str:
    """Say one statement of a policy."""
    if "Effect" not in statement:
        return f"`{text(statement, name)}`."
    who = ""
    if "Principal" in statement or "NotPrincipal" in statement:
        principals = _principals(statement, name)
        who = f"{principals[:1].upper()}{principals[1:]} "
    word = "may" if statement["Effect"] == "Allow" else "may **never**"
    verb = word if who else word.capitalize()
    if "NotAction" in statement:
        actions = f"everything but {quoted(listed(statement['NotAction']), name)}"
    else:
        actions = quoted(listed(statement["Action"]), name)
    resources = ""
    if "Resource" in statement:
        resources = f" on {quoted(listed(statement['Resource']), name)}"
    if "NotResource" in statement:
        resources = f" on everything but {quoted(listed(statement['NotResource']), name)}"
    return f"{who}{verb} {actions}{resources}{_only_where(statement, name)}."


def trust(statement: Json, name: Naming) -> str:
    """Say one statement of a role's trust policy."""
    if "Effect" not in statement:
        return f"`{text(statement, name)}`."
    verb = "May" if statement["Effect"] == "Allow" else "May **never**"
    more = [action for action in listed(statement.get("Action", [])) if action not in _ASSUMED]
    with_more = f", with {quoted(more, name)}" if more else ""
    principals = _principals(statement, name)
    return f"{verb} be assumed by {principals}{with_more}{_only_where(statement, name)}."


def quoted(values: Iterable[object], name: Naming, last: str = "and") -> str:
    """List values as code."""
    texts = [f"`{text(value, name)}`" for value in values]
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def text(value: object, name: Naming) -> str:
    """Write a value of a template as one text; what has no words of its own stays its JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, dict | list):
        return str(value)
    if isinstance(value, dict) and len(value) == 1:
        ((function, argument),) = value.items()
        said = _function(function, argument, name)
        if said is not None:
            return said
    return json.dumps(value, sort_keys=True)


def listed(value: object) -> list[object]:
    """Return a list of what IAM writes without one where it is alone."""
    return value if isinstance(value, list) else [value]


def _function(function: str, argument: object, name: Naming) -> str | None:
    """Write what CloudFormation would put in; none for a function that has no words here."""
    match function, argument:
        case "Fn::Join", [str(separator), list(parts)]:
            return separator.join(text(part, name) for part in parts)
        case "Ref", str(target):
            return _variable(target, name)
        case "Fn::GetAtt", [str(target), str(attribute)]:
            return _variable(f"{target}.{attribute}", name)
        case "Fn::GetAtt", str(target):
            return _variable(target, name)
        case "Fn::Sub", str(pattern):
            return _substituted(pattern, {}, name)
        case "Fn::Sub", [str(pattern), dict(variables)]:
            return _substituted(pattern, variables, name)
        case "Fn::ImportValue", exported:
            return f"<export {text(exported, name)}>"
    return None


def _substituted(pattern: str, variables: Json, name: Naming) -> str:
    def put_in(found: re.Match[str]) -> str:
        literal, variable = found.groups()
        if literal:
            return f"${{{variable}}}"
        if variable in variables:
            return text(variables[variable], name)
        return _variable(variable, name)

    return _VARIABLE.sub(put_in, pattern)


def _variable(target: str, name: Naming) -> str:
    """Write a reference: to the installation in braces, to a resource in angle brackets."""
    if pseudo := _PSEUDO.fullmatch(target):
        return f"{{{pseudo[1].removesuffix('Id')}}}"
    logical_id, _, attribute = target.partition(".")
    return f"<{name(logical_id)}{f'.{attribute}' if attribute not in {'', 'Arn'} else ''}>"


def _only_where(statement: Json, name: Naming) -> str:
    """Say a statement's conditions in words."""
    words = []
    for operator, tests in cast(dict[str, Json], statement.get("Condition", {})).items():
        quantifier, _, plain = operator.rpartition(":")
        optional = plain.endswith("IfExists")
        verb = _OPERATORS.get(plain.removesuffix("IfExists"), f"is by {plain}")
        for key, values in tests.items():
            each = "each value of " if quantifier == "ForAllValues" else ""
            each = "a value of " if quantifier == "ForAnyValue" else each
            if_there = " (where there is one)" if optional else ""
            words.append(f"{each}`{key}`{if_there} {verb} {quoted(listed(values), name, 'or')}")
    only = "only " if statement["Effect"] == "Allow" else ""
    return f", {only}where {' and '.join(words)}" if words else ""


def _principals(statement: Json, name: Naming) -> str:
    if "NotPrincipal" in statement:
        named = _named_principals(statement["NotPrincipal"], name)
        return f"anybody but {named}"
    return _named_principals(statement["Principal"], name)


def _named_principals(principal: object, name: Naming) -> str:
    if not isinstance(principal, dict):
        return "anybody" if principal == "*" else f"`{text(principal, name)}`"
    words = {"Service": "the service", "Federated": "whoever is vouched for by", "AWS": ""}
    names = []
    for kind, values in principal.items():
        for value in listed(values):
            said = text(value, name)
            who = f"{words.get(kind, kind)} `{said}`".strip()
            names.append("anybody" if said == "*" else who)
    return " or ".join(names)
