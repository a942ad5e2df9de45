"""Commands of AWS on the pages: services, operations and options that exist, none left out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.waiter import WaiterModel

ROOT = Path(__file__).resolve().parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))
EVERYWHERE = {"query", "output", "region", "profile"}
"""Options of the command line itself."""
RENAMED = {("sns", "subscribe"): {"notification-endpoint": "endpoint"}}
"""What the command line calls otherwise than the service does, by service and operation."""
TRANSFERS = {"cp": 2, "ls": 1, "sync": 2}
"""Commands of `aws s3` that no service has: how many places each is given."""
LOADER = Loader()


def commands(page: str) -> Iterator[str]:
    """Every command in a block of code or in a line, its continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", page)
    yield from re.findall(r"^ +(aws [a-z].*)$", joined, re.M)
    yield from re.findall(r"`(aws [a-z][^`]*)`", re.sub(r"\s*\n\s*", " ", joined))


def problem_of(command: str) -> str | None:
    """What is wrong with a command by the models that AWS publishes, None where nothing is."""
    _, service, operation, *words = shlex.split(command)
    if service == "s3":
        places = [word for word in words if not word.startswith("--")]
        return None if len(places) == TRANSFERS.get(operation) else f"no such aws s3 {operation}"
    services = LOADER.list_available_services("service-2")
    name = {"s3api": "s3"}.get(service, service)
    if name not in services:
        return f"there is no service {service}"
    model = ServiceModel(LOADER.load_service_model(name, "service-2"), name)
    operations = {xform_name(each, "-"): each for each in model.operation_names}
    if operation == "wait":
        waiters = WaiterModel(LOADER.load_service_model(name, "waiters-2"))
        waiter, *words = words
        named = {xform_name(each, "-"): each for each in waiters.waiter_names}
        if waiter not in named:
            return f"{service} has no waiter {waiter}"
        operation = xform_name(waiters.get_waiter(named[waiter]).operation, "-")
    if operation not in operations:
        return f"{service} has no operation {operation}"
    shape = model.operation_model(operations[operation]).input_shape
    renamed = RENAMED.get((service, operation), {})
    members = {xform_name(each, "-"): each for each in getattr(shape, "members", {})}
    given = {word.removeprefix("--") for word in words if word.startswith("--")}
    # A switch of the command line may be turned off.
    given = {renamed.get(each, each.removeprefix("no-")) for each in given}
    if unknown := sorted(given - set(members) - EVERYWHERE):
        return f"unknown option --{unknown[0]}"
    required = {xform_name(each, "-") for each in getattr(shape, "required_members", ())}
    if missing := sorted(required - given):
        return f"--{missing[0]} is missing"
    return None


FOUND = [
    (page.name, command) for page in PAGES for command in dict.fromkeys(commands(page.read_text()))
]


@pytest.mark.shipped
@pytest.mark.parametrize(("page", "command"), FOUND, ids=[command for _, command in FOUND])
def test_a_command_of_aws_is_one(page: str, command: str) -> None:
    assert problem_of(command) is None, page


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("aws codepipelines start-pipeline-execution", "there is no service codepipelines"),
        ("aws codepipeline start-execution", "codepipeline has no operation start-execution"),
        ("aws codepipeline start-pipeline-execution --id x", "unknown option --id"),
        ("aws codepipeline start-pipeline-execution", "--name is missing"),
        ("aws cloudformation wait stack-gone", "cloudformation has no waiter stack-gone"),
        ("aws cloudformation wait stack-delete-complete --name x", "unknown option --name"),
        ("aws s3 synch s3://bucket/ here/", "no such aws s3 synch"),
        ("aws s3 sync s3://bucket/", "no such aws s3 sync"),
    ],
)
def test_a_command_that_aws_would_refuse_is_found(command: str, problem: str) -> None:
    assert problem_of(command) == problem


def test_commands_are_found_in_every_kind_of_code() -> None:
    page = "    aws a b \\\n        --c d\n\nSay `aws e\nf --g`.\n\n```\n   aws h i\n```\n"
    assert list(commands(page)) == ["aws a b --c d", "aws h i", "aws e f --g"]
