"""Write `docs/permissions.md` from the synthesised templates, or compare two of them.

`make pages` synthesises the shipped example and brings the page up to date.
`python -m docs.permissions_page --diff OLD NEW` prints what a change adds to anybody's permissions
and what it takes away, and ends with 1 if there is anything.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

from docs.policy_words import Naming, listed, sentence, text, trust
from docs.synthesised import AssemblyError, Json, Resource, read_resources
from docs.used_statements import UNEXPLAINED, Used, read_recorded, why_unused

PAGE = Path(__file__).parent / "permissions.md"

_HASH = re.compile(r"(?:[0-9A-F]{8})+$")
_OWNERS = {
    "AWS::S3::BucketPolicy": "Bucket",
    "AWS::SNS::TopicPolicy": "Topics",
    "AWS::SQS::QueuePolicy": "Queues",
    "AWS::ECR::Repository": "RepositoryName",
    "AWS::KMS::Key": "Description",
    "AWS::SecretsManager::ResourcePolicy": "SecretId",
    "AWS::DynamoDB::Table": "TableName",
}
"""Types with a resource policy, and the property that says whose it is: else its own name does."""
_HOLDERS = {"Roles": "Role", "RoleName": "Role", "Users": "User", "Groups": "Group"}
"""Properties by which a policy is attached to somebody."""
_POLICIES = {"AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"}
_SAID = {*_POLICIES, "AWS::IAM::Role", "AWS::IAM::OIDCProvider", "AWS::IAM::InstanceProfile"}
"""Types of IAM that this page says, or that grant nothing by themselves."""


class PermissionsError(ValueError):
    """A template grants something in a way that this page has no words for."""


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that is so about a grantee."""

    words: str
    raw: str
    """What the template says, as JSON: whether two facts are the same is decided by it alone."""
    used: bool = False
    """Whether the recorded run used it; always false where nobody can tell."""


@dataclass(frozen=True, kw_only=True)
class Grantee:
    """Who is allowed something: a role, or whoever the policy of a resource names."""

    stack: str
    name: str
    about: tuple[Fact, ...]
    """What it is for, who may be it and who uses it: whole sentences."""
    statements: tuple[Fact, ...]


class Reader:
    """Reads who is allowed what in the templates of one app.

    Raises:
        PermissionsError: if a template has users or groups, or another kind of IAM that it
            does not know.
    """

    def __init__(
        self,
        resources: Sequence[Resource],
        *,
        whole_names: bool = False,
        recorded: Used | None = None,
    ) -> None:
        self._recorded = recorded
        self._resources = resources
        self._whole_names = whole_names
        self._alike = Counter((item.stack, _short(item.logical_id)) for item in resources)
        for item in resources:
            if item.kind.startswith("AWS::IAM::") and item.kind not in _SAID:
                raise PermissionsError(
                    f"{item.stack}: {item.logical_id} is an {item.kind}, which the page of"
                    f" permissions cannot say; expected one of {', '.join(sorted(_SAID))}."
                    " Teach it to docs/permissions_page.py, or give a role the permissions."
                )

    def roles(self) -> list[Grantee]:
        """Read every role: what it is for, who may assume it, and each statement of its policies.

        Policies of whoever is not made here follow: nothing that is granted is left out.
        """
        roles = [item for item in self._resources if item.kind == "AWS::IAM::Role"]
        found = [
            Grantee(
                stack=role.stack,
                name=f"Role {self._label(role)}",
                about=tuple(self._about(role)),
                statements=tuple(self._statements(role)),
            )
            for role in roles
        ]
        for policy in self._resources:
            if policy.kind in _POLICIES:
                for holder in self._holders_elsewhere(policy, roles):
                    facts = tuple(self._sentences(policy.properties["PolicyDocument"], policy))
                    found.append(
                        Grantee(stack=policy.stack, name=holder, about=(), statements=facts)
                    )
        return found

    def resource_policies(self) -> list[Grantee]:
        """Read what resources themselves allow: their policies, and who may invoke a function."""
        found = []
        for item in self._resources:
            documents = list(_policies_of(item))
            if documents:
                name = self._naming(item.stack)
                owner = item.properties.get(_OWNERS.get(item.kind, ""))
                texts = [text(value, name) for value in listed(owner)]
                whose = ", ".join(texts) if owner else f"<{name(item.logical_id)}>"
                found.append(
                    Grantee(
                        stack=item.stack,
                        name=f"{item.kind.split('::')[1]} {whose}",
                        about=(),
                        statements=tuple(
                            fact
                            for document in documents
                            for fact in self._sentences(document, item)
                        ),
                    )
                )
        return [*found, *self._functions()]

    def _naming(self, stack: str) -> Naming:
        return partial(self._named, stack)

    def _named(self, stack: str, logical_id: str) -> str:
        """Leave out CDK's hash, unless a sibling would then have the same name."""
        short = _short(logical_id)
        return logical_id if self._whole_names or self._alike[stack, short] > 1 else short

    def _label(self, role: Resource) -> str:
        name = self._naming(role.stack)
        return text(role.properties.get("RoleName", name(role.logical_id)), name)

    def _about(self, role: Resource) -> Iterator[Fact]:
        name = self._naming(role.stack)
        if description := role.text("Description"):
            yield _fact(f"{description}.", {"description": description})
        for statement in _statements(role.properties["AssumeRolePolicyDocument"]):
            yield _fact(trust(statement, name), statement)
        if boundary := role.properties.get("PermissionsBoundary"):
            said = f"Never more than its boundary `{text(boundary, name)}` allows."
            yield _fact(said, {"boundary": boundary})
        for policy in listed(role.properties.get("ManagedPolicyArns", [])):
            said = f"Has the managed policy `{text(policy, name)}` too."
            yield _fact(said, {"managed": policy})
        users = sorted(
            (f"{item.kind.removeprefix('AWS::')} {name(item.logical_id)}", item.logical_id)
            for item in self._resources
            if item.stack == role.stack
            and not item.kind.startswith("AWS::IAM::")
            and role.logical_id in _references(item.properties)
        )
        if users:
            said = f"Used by {', '.join(dict.fromkeys(user for user, _ in users))}."
            yield _fact(said, {"users": [logical_id for _, logical_id in users]})

    def _statements(self, role: Resource) -> Iterator[Fact]:
        for inline in cast(list[Json], role.properties.get("Policies", [])):
            yield from self._sentences(inline["PolicyDocument"], role)
        for policy in self._resources:
            if policy.kind in _POLICIES and _has(role, policy):
                facts = self._sentences(policy.properties["PolicyDocument"], policy)
                for place, fact in enumerate(facts):
                    used = self._recorded is not None and self._recorded.was(policy, place)
                    yield replace(fact, used=used)

    def _holders_elsewhere(self, policy: Resource, roles: Sequence[Resource]) -> Iterator[str]:
        """Name who has a policy and is not among `roles`; the policy itself if nobody has it."""
        name = self._naming(policy.stack)
        for field, kind in _HOLDERS.items():
            for holder in listed(policy.properties.get(field, [])):
                if not any(_is_called(role, holder, policy.stack) for role in roles):
                    yield f"{kind} {text(holder, name)}, which is not made here"
        if not any(field in policy.properties for field in _HOLDERS) and not any(
            _has(role, policy) for role in roles
        ):
            yield f"Policy {name(policy.logical_id)}, which no role here has"

    def _sentences(self, document: object, owner: Resource) -> Iterator[Fact]:
        name = self._naming(owner.stack)
        for statement in _statements(document):
            yield _fact(sentence(statement, name), statement)

    def _functions(self) -> list[Grantee]:
        """Read who may invoke a function; the page says a kind of source once."""
        found: dict[tuple[str, str], list[Fact]] = {}
        for item in self._resources:
            if item.kind == "AWS::Lambda::Permission":
                function = text(item.properties["FunctionName"], self._naming(item.stack))
                fact = _fact(self._invocation(item), item.properties)
                found.setdefault((item.stack, f"Lambda {function}"), []).append(fact)
        return [
            Grantee(stack=stack, name=name, about=(), statements=tuple(facts))
            for (stack, name), facts in found.items()
        ]

    def _invocation(self, permission: Resource) -> str:
        name = self._naming(permission.stack)
        source = permission.properties.get("SourceArn")
        kinds = [
            other.kind.removeprefix("AWS::")
            for other in self._resources
            if other.stack == permission.stack and other.logical_id in _references(source)
        ]
        by = ""
        if kinds and not self._whole_names:
            by = f", called by {kinds[0]} resources of this stack"
        elif source:
            by = f", called by `{text(source, name)}`"
        rest = [
            f"`{key}` is `{text(value, name)}`"
            for key, value in permission.properties.items()
            if key not in {"Action", "FunctionName", "Principal", "SourceArn"}
        ]
        only = f", only where {' and '.join(rest)}" if rest else ""
        principal = text(permission.properties["Principal"], name)
        who = f"The service `{principal}`" if "." in principal else f"`{principal}`"
        return f"{who} may `{permission.text('Action')}`{by}{only}."


def permissions_page(resources: Sequence[Resource], recorded: Used | None = None) -> str:
    """Write the page; with what a recorded run used, if there is one of this installation."""
    reader = Reader(resources, recorded=recorded)
    roles = reader.roles()
    lines = [_HEAD]
    for title, grantees in (
        ("Roles", roles),
        ("What resources themselves allow", reader.resource_policies()),
    ):
        lines += [f"## {title}", ""]
        for grantee in sorted(grantees, key=lambda item: (item.stack, item.name)):
            # A browser takes what is in angle brackets for one of its own elements.
            lines += [f"### {grantee.stack}: {re.sub('[<>]', '', grantee.name)}", ""]
            if grantee.about:
                lines += [" ".join(fact.words for fact in grantee.about), ""]
            words = dict.fromkeys(
                f"{fact.words}{' *Used.*' if fact.used else ''}" for fact in grantee.statements
            )
            lines += [*(f"- {said}" for said in words), ""]
    if recorded:
        lines += _unused(roles)
    return "\n".join(lines)


def _unused(roles: Sequence[Grantee]) -> Iterator[str]:
    """Yield the statements that the recorded run did not use, by why it did not."""
    found: dict[str, dict[str, None]] = {}
    for role in sorted(roles, key=lambda item: (item.stack, item.name)):
        for fact in role.statements:
            if not fact.used:
                reason = why_unused(role.name, cast(Json, json.loads(fact.raw)))
                line = f"- {role.stack}, {re.sub('[<>]', '', role.name)}: {fact.words}"
                found.setdefault(reason or UNEXPLAINED, {})[line] = None
    yield from ("## Statements that the run did not use", "")
    for reason in sorted(found):
        yield from (reason, "", *found[reason], "")


_HEAD = """\
# Permissions

Written by `make pages` from synthesised templates; do not edit. In this repository they are those
of the example that it ships: its `cdk.json`, kept in `docs/example_context.json`, with two tasks.
For your own, in an active `.venv`: `npx cdk synth --output FOLDER`, then
`python -m docs.permissions_page FOLDER --to FILE`.

Every role that an installation makes: what it is for, who may be it, and each statement of its
policies. What a managed policy of AWS or of the account adds is said by that policy's name alone.
Each statement of ours is said once, with the reason of its wildcard, in `cdk_app/permissions.py`,
`cdk_app/records_permissions.py` (files of records) and `cdk_app/on_call_permissions.py` (people on
call); the others are CDK's own.

*Used* is what allowed a call in a `make up` from nothing on the [local
AWS](local-aws.md#permissions), from its bootstrap to the execution that a rollback starts, and in a
`make records` after it;
`docs/recorded_permissions.json` has the call. The other statements, and why, stand at the
[end](#statements-that-the-run-did-not-use).

`{Account}`, `{Partition}` and `{Region}` are those of the installation. A name in angle brackets is
a resource of the same stack, with CDK's hash where two would else be called alike; `<export NAME>`
is what another stack exports as NAME. What else a template calculates stands as its JSON.

What a change adds or takes away: `python -m docs.permissions_page --diff OLD NEW`, each a folder
that `cdk synth` wrote. It compares the statements themselves, and names resources by their whole
logical ids.
"""


def difference(old: Sequence[Resource], new: Sequence[Resource]) -> list[str]:
    """Say what `new` adds to the permissions in `old` (`+`) and takes away (`-`), in order.

    Two facts that differ have different lines: where their words are the same, JSON follows.
    """
    before, after = _facts(old), _facts(new)
    gone = {key: words for key, words in before.items() if key not in after}
    come = {key: words for key, words in after.items() if key not in before}
    times = Counter([*gone.values(), *come.values()])
    lines = [
        f"{sign} {words}{f' {key[-1]}' if times[words] > 1 else ''}"
        for sign, facts in (("-", gone), ("+", come))
        for key, words in facts.items()
    ]
    return sorted(lines, key=lambda line: (line[2:], line[0]))


def _facts(resources: Sequence[Resource]) -> dict[tuple[str, str, str], str]:
    """Return the words of each fact by stack, grantee and what the template says."""
    reader = Reader(resources, whole_names=True)
    return {
        (grantee.stack, grantee.name, fact.raw): f"{grantee.stack}: {grantee.name}: {fact.words}"
        for grantee in (*reader.roles(), *reader.resource_policies())
        for fact in (*grantee.about, *grantee.statements)
    }


def _fact(words: str, said: object) -> Fact:
    return Fact(words=words, raw=json.dumps(said, sort_keys=True))


def _has(role: Resource, policy: Resource) -> bool:
    """Whether a role has a policy, whichever of the two says so."""
    holders = [
        *listed(policy.properties.get("Roles", [])),
        *listed(policy.properties.get("RoleName", [])),
    ]
    if any(_is_called(role, holder, policy.stack) for holder in holders):
        return True
    return role.stack == policy.stack and {"Ref": policy.logical_id} in listed(
        role.properties.get("ManagedPolicyArns", [])
    )


def _is_called(role: Resource, holder: object, stack: str) -> bool:
    """Whether `holder`, as a template of `stack` writes it, is a role: by reference or by name."""
    if holder == {"Ref": role.logical_id}:
        return role.stack == stack
    return "RoleName" in role.properties and holder == role.properties["RoleName"]


def _short(logical_id: str) -> str:
    """Leave out the hash that CDK ends a logical id with."""
    return _HASH.sub("", logical_id) or logical_id


def _policies_of(resource: Resource) -> Iterator[Json]:
    """Yield the policies that a resource has on itself."""
    if resource.kind.startswith("AWS::IAM::"):
        return
    for name, value in resource.properties.items():
        documents = list(_policies(value))
        if value and not documents and name.endswith(("PolicyDocument", "PolicyText", "KeyPolicy")):
            raise PermissionsError(
                f"{resource.stack}: {resource.logical_id}.{name} is {json.dumps(value)}, which the"
                " page of permissions cannot read; expected a policy with statements."
            )
        yield from documents


def _policies(value: object) -> Iterator[Json]:
    """Yield each policy document in the properties of a resource, whatever they call it."""
    if isinstance(value, dict):
        statements = listed(value.get("Statement"))
        if any(isinstance(item, dict) and "Effect" in item for item in statements):
            yield value
            return
        for item in value.values():
            yield from _policies(item)
    elif isinstance(value, list):
        for item in value:
            yield from _policies(item)


def _statements(document: object) -> list[Json]:
    return cast(list[Json], listed(cast(Json, document)["Statement"]))


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
    """Write the page, or print a difference; return the exit code, 2 where nothing can be read."""
    parser = argparse.ArgumentParser(prog="python -m docs.permissions_page", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="what `cdk synth` wrote")
    parser.add_argument("--diff", action="store_true", help="compare two folders: OLD NEW")
    parser.add_argument("--to", type=Path, default=PAGE, help=f"the page (default {PAGE.name})")
    parser.add_argument("--recorded", action="store_true", help="mark what a local run used")
    options = parser.parse_args(argv)
    if len(options.folders) != (2 if options.diff else 1):
        parser.error("expected one folder, or two with --diff")
    try:
        resources = [read_resources(folder) for folder in options.folders]
        if not options.diff:
            # Only of the example has a run been recorded; nobody knows what one's own uses.
            recorded = Used(read_recorded()) if options.recorded else None
            page = permissions_page(resources[0], recorded)
            options.to.write_text(page, encoding="utf-8")
            return 0
        changes = difference(*resources)
    except (AssemblyError, PermissionsError) as error:
        parser.exit(2, f"{error}\n")
    print(*changes or ["no permission changes"], sep="\n")
    return 1 if changes else 0


if __name__ == "__main__":
    sys.exit(main())
