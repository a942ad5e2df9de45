"""Write `docs/permissions.md` from the synthesised templates, or compare two of them.

`make pages` synthesises the app and brings the page up to date.
`python -m docs.permissions_page --diff OLD NEW` prints what a change adds to anybody's permissions
and what it takes away, and ends with 1 if there is anything.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from docs.synthesised import Json, Resource, read_resources

PAGE = Path(__file__).parent / "permissions.md"

_HASH = re.compile(r"(?:[0-9A-F]{8})+$")
_PSEUDO = re.compile(r"AWS::(\w+)")
_RESOURCE_POLICIES = {
    "AWS::S3::BucketPolicy": "Bucket",
    "AWS::SNS::TopicPolicy": "Topics",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::KMS::Key": "Description",
    "AWS::SecretsManager::ResourcePolicy": "SecretId",
    "AWS::DynamoDB::Table": "TableName",
}
"""Types that hold a resource policy, and the property that says whose it is."""
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


@dataclass(frozen=True, kw_only=True)
class Grantee:
    """Who is allowed something: a role, or whoever the policy of a resource names."""

    stack: str
    name: str
    about: tuple[str, ...]
    """What it is for, who may be it and who uses it: whole sentences."""
    statements: tuple[str, ...]


def roles(resources: Sequence[Resource]) -> list[Grantee]:
    """Read every role: what it is for, who may assume it, and each statement of its policies."""
    return [
        Grantee(
            stack=role.stack,
            name=f"Role {_label(role)}",
            about=tuple(_about(role, resources)),
            statements=tuple(_statements_of_role(role, resources)),
        )
        for role in resources
        if role.kind == "AWS::IAM::Role"
    ]


def resource_policies(resources: Sequence[Resource]) -> list[Grantee]:
    """Read what resources themselves allow: their policies, and who may invoke a function."""
    found = []
    for resource in resources:
        document = resource.properties.get("PolicyDocument") or resource.properties.get(
            "ResourcePolicy", resource.properties.get("KeyPolicy")
        )
        if resource.kind in _RESOURCE_POLICIES and document:
            owner = resource.properties.get(_RESOURCE_POLICIES[resource.kind])
            texts = [_text(item) for item in _listed(owner)]
            found.append(
                Grantee(
                    stack=resource.stack,
                    name=f"{resource.kind.split('::')[1]} {', '.join(texts)}",
                    about=(),
                    statements=tuple(_sentences(cast(Json, document))),
                )
            )
    return [*found, *_functions(resources)]


def permissions_page(resources: Sequence[Resource]) -> str:
    """Write the page."""
    lines = [_HEAD]
    for title, grantees in (
        ("Roles", roles(resources)),
        ("What resources themselves allow", resource_policies(resources)),
    ):
        lines += [f"## {title}", ""]
        for grantee in sorted(grantees, key=lambda item: (item.stack, item.name)):
            # A browser takes what is in angle brackets for one of its own elements.
            lines += [f"### {grantee.stack}: {re.sub('[<>]', '', grantee.name)}", ""]
            if grantee.about:
                lines += [" ".join(grantee.about), ""]
            lines += [*(f"- {sentence}" for sentence in grantee.statements), ""]
    return "\n".join(lines)


_HEAD = """\
# Permissions

Written by `make pages` from the synthesised templates; do not edit. Every role that an
installation makes: what it is for, who may be it, and each statement of its policies. A role may do
nothing else. Each statement of ours is said once, with the reason of its wildcard, in
`cdk_app/permissions.py`; the others are CDK's own.

`{Account}` is the account of the installation; a name in angle brackets is a resource of the same
stack. What a change adds or takes away: `python -m docs.permissions_page --diff OLD NEW`, each a
folder that `cdk synth` wrote.
"""


def difference(old: Sequence[Resource], new: Sequence[Resource]) -> list[str]:
    """Say what `new` adds to the permissions in `old` (`+`) and takes away (`-`), in order."""
    before, after = _facts(old), _facts(new)
    return sorted(
        [f"- {fact}" for fact in before - after] + [f"+ {fact}" for fact in after - before],
        key=lambda line: (line[2:], line[0]),
    )


def _facts(resources: Sequence[Resource]) -> set[str]:
    return {
        f"{grantee.stack}: {grantee.name}: {sentence}"
        for grantee in (*roles(resources), *resource_policies(resources))
        for sentence in (*grantee.about, *grantee.statements)
    }


def _about(role: Resource, resources: Sequence[Resource]) -> Iterator[str]:
    if description := role.text("Description"):
        yield f"{description}."
    for statement in _documents(role.properties["AssumeRolePolicyDocument"]):
        yield f"May be assumed by {_principals(statement)}{_only_where(statement)}."
    if boundary := role.properties.get("PermissionsBoundary"):
        yield f"Never more than its boundary `{_text(boundary)}` allows."
    if managed := role.properties.get("ManagedPolicyArns"):
        yield f"Has AWS's own policies {_quoted(_listed(managed))} too."
    users = sorted(
        {
            f"{resource.kind.removeprefix('AWS::')} {_short(resource.logical_id)}"
            for resource in resources
            if resource.stack == role.stack
            and not resource.kind.startswith("AWS::IAM::")
            and _mentions(resource.properties, role.logical_id)
        }
    )
    if users:
        yield f"Used by {', '.join(users)}."


def _statements_of_role(role: Resource, resources: Sequence[Resource]) -> Iterator[str]:
    for policy in cast(list[Json], role.properties.get("Policies", [])):
        yield from _sentences(cast(Json, policy["PolicyDocument"]))
    for resource in resources:
        if (
            resource.kind in {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"}
            and resource.stack == role.stack
            and {"Ref": role.logical_id} in _listed(resource.properties.get("Roles", []))
        ):
            yield from _sentences(cast(Json, resource.properties["PolicyDocument"]))


def _functions(resources: Sequence[Resource]) -> list[Grantee]:
    """Read who may invoke a function, a kind of source once: each task has an alarm."""
    found: dict[tuple[str, str], set[str]] = {}
    for resource in resources:
        if resource.kind == "AWS::Lambda::Permission":
            source = next(iter(_references(resource.properties.get("SourceArn"))), "")
            kinds = [
                other.kind.removeprefix("AWS::")
                for other in resources
                if other.stack == resource.stack and other.logical_id == source
            ]
            function = _text(resource.properties["FunctionName"])
            of = f", called by {kinds[0]} resources of this stack" if kinds else ""
            found.setdefault((resource.stack, f"Lambda {function}"), set()).add(
                f"The service `{resource.text('Principal')}` may `{resource.text('Action')}`{of}."
            )
    return [
        Grantee(stack=stack, name=name, about=(), statements=tuple(sorted(sentences)))
        for (stack, name), sentences in found.items()
    ]


def _sentences(document: Json) -> Iterator[str]:
    for statement in _documents(document):
        who = (
            f"{_principals(statement)[:1].upper()}{_principals(statement)[1:]} "
            if ("Principal" in statement)
            else ""
        )
        word = "may" if statement["Effect"] == "Allow" else "may **never**"
        verb = word if who else word.capitalize()
        if "NotAction" in statement:
            actions = f"everything but {_quoted(_listed(statement['NotAction']))}"
        else:
            actions = _quoted(_listed(statement["Action"]))
        resources = (
            f" on {_quoted(_listed(statement['Resource']))}" if ("Resource" in statement) else ""
        )
        if "NotResource" in statement:
            resources = f" on everything but {_quoted(_listed(statement['NotResource']))}"
        yield f"{who}{verb} {actions}{resources}{_only_where(statement)}."


def _only_where(statement: Json) -> str:
    """Say a statement's conditions in words."""
    words = []
    for operator, tests in cast(dict[str, Json], statement.get("Condition", {})).items():
        quantifier, _, name = operator.rpartition(":")
        optional = name.endswith("IfExists")
        verb = _OPERATORS.get(name.removesuffix("IfExists"), f"is by {name}")
        for key, values in tests.items():
            each = "each value of " if quantifier == "ForAllValues" else ""
            each = "a value of " if quantifier == "ForAnyValue" else each
            if_there = " (where there is one)" if optional else ""
            words.append(f"{each}`{key}`{if_there} {verb} {_quoted(_listed(values), 'or')}")
    only = "only " if statement["Effect"] == "Allow" else ""
    return f", {only}where {' and '.join(words)}" if words else ""


def _principals(statement: Json) -> str:
    principal = statement.get("Principal")
    if principal == "*":
        return "anybody"
    names = []
    for kind, values in cast(Json, principal).items():
        word = {"Service": "the service", "Federated": "whoever is vouched for by", "AWS": ""}
        for value in _listed(values):
            text = _text(value)
            names.append("anybody" if text == "*" else f"{word.get(kind, kind)} `{text}`".strip())
    return " or ".join(names)


def _quoted(values: Iterable[object], last: str = "and") -> str:
    texts = [f"`{_text(value)}`" for value in values]
    return f" {last} ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else texts[0]


def _text(value: object) -> str:
    """Write a value of a template as one text."""
    if not isinstance(value, dict):
        return str(value).lower() if isinstance(value, bool) else str(value)
    ((function, argument),) = value.items()
    if function == "Fn::Join":
        separator, parts = cast(tuple[str, list[object]], argument)
        return separator.join(_text(part) for part in parts)
    if function == "Ref":
        if pseudo := _PSEUDO.fullmatch(str(argument)):
            return f"{{{pseudo[1].removesuffix('Id')}}}"
        return f"<{_short(str(argument))}>"
    if function == "Fn::GetAtt":
        return f"<{_short(str(cast(list[object], argument)[0]))}>"
    if function == "Fn::Sub":
        return str(argument).replace("${AWS::AccountId}", "{Account}")
    return f"<{function}>"


def _label(role: Resource) -> str:
    return _text(role.properties.get("RoleName", _short(role.logical_id)))


def _short(logical_id: str) -> str:
    """Leave out the hash that CDK ends a logical id with."""
    return _HASH.sub("", logical_id) or logical_id


def _documents(document: object) -> list[Json]:
    return cast(list[Json], _listed(cast(Json, document)["Statement"]))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _mentions(value: object, logical_id: str) -> bool:
    return logical_id in _references(value)


def _references(value: object) -> Iterator[str]:
    """Yield the logical ids that a value refers to."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref":
                yield str(item)
            elif key == "Fn::GetAtt":
                yield str(item[0])
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def main(argv: list[str] | None = None) -> int:
    """Write the page, or print a difference; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m docs.permissions_page", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="what `cdk synth` wrote")
    parser.add_argument("--diff", action="store_true", help="compare two folders: OLD NEW")
    options = parser.parse_args(argv)
    if len(options.folders) != (2 if options.diff else 1):
        parser.error("expected one folder, or two with --diff")
    resources = [read_resources(folder) for folder in options.folders]
    if not options.diff:
        PAGE.write_text(permissions_page(resources[0]), encoding="utf-8")
        return 0
    changes = difference(*resources)
    print(*changes or ["no permission changes"], sep="\n")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
