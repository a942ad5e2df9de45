"""Two installations in one account: nothing of one is called what something of the other is.

Both have a stage of their own account and region, so that all is there that can have a name. The
second one is what `app.py` writes under cdk-nag, with the longest name and the longest stage.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from prompt_hub.core import aws_names
from tests.infrastructure.synthesised import (
    CONTEXT,
    ROOT,
    Assembly,
    Json,
    checked_app,
    lint,
    listed,
)

FIRST, SECOND = "prompt-hub", "shopcatalogues24"
HOME, OTHER = "111111111111", "222222222222"
STAGES = [
    {
        "name": "dev",
        "availability_zones": ["us-east-1a", "us-east-1b"],
        "drill": True,
        "on_call": {"principals": [f"arn:aws:iam::{HOME}:user/ann"]},
    },
    {
        "name": "productioneurope",
        "account": OTHER,
        "region": "eu-west-1",
        "availability_zones": ["eu-west-1a", "eu-west-1b"],
        "vpc_cidr": "10.21.0.0/16",
        "drill": True,
        "soak": {"rounds": 1},
    },
]
PROVIDER = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"
SECONDS_OWN = {
    "installation": SECOND,
    "repository": "example/shop-catalogues",
    # An account has one for GitHub: the first installation made it.
    "github_oidc_provider_arn": PROVIDER,
}
CHANGES: Json = {"account": HOME, "stages": STAGES}

NO_NAMES = {
    "DisplayName": "what people read",
    "DomainName": "what a user owns",
    "MetricName": "is looked at with its namespace and dimensions",
    "PolicyName": "is a role's own",
    "ServiceName of AWS::EC2::VPCEndpoint": "a service of AWS",
}

WORDS = r"prompt-hub-drill|\"prompt-hub\", ?\"(health|watch)\"|(?<= )\.prompt-hub\b"
"""What the first one's name is besides: the drill's task, the command, and a clone's own folder."""


@pytest.fixture(scope="module")
def first(synthesise: Callable[..., Assembly]) -> Assembly:
    return synthesise(CHANGES)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    settings = {**CONTEXT[CONTEXT_KEY], **CHANGES, **SECONDS_OWN}
    return checked_app(settings, tmp_path_factory.mktemp("second"))


# --- Names ---------------------------------------------------------------------------------------


def flat(value: Any) -> str:
    """Write a value as one text; what CloudFormation makes up stands in angle brackets."""
    match value:
        case {"Fn::Join": [str(between), [*items]]}:
            return between.join(map(flat, items))
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [*path]}:
            return f"<{'.'.join(map(flat, path))}>"
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]*)\}", r"<\1>", text).replace("<AWS::Partition>", "aws")
        case str():
            return value
    return json.dumps(value, sort_keys=True)


def names(assembly: Assembly) -> Iterator[str]:
    """Everything of which an account, a region or a bus has one."""
    for stack, template in assembly.templates.items():
        yield f"stack {stack}"
        for output in template.get("Outputs", {}).values():
            if "Export" in output:
                yield f"export {flat(output['Export']['Name'])}"
        for resource in template["Resources"].values():
            yield from names_of(resource["Type"], resource.get("Properties", {}))


def names_of(kind: str, properties: Json) -> Iterator[str]:
    for key, value in properties.items():
        if key in NO_NAMES or f"{key} of {kind}" in NO_NAMES:
            continue
        named = key.endswith("Name") or key in {"Family", "StatementId", "EventPattern"}
        if named and not re.search(r'<|"Ref"', text := flat(value)):
            yield f"{kind} {key} {text}"
    if kind == "AWS::IAM::OIDCProvider":
        yield f"{kind} {properties['Url']}"
    if "MetricName" in properties and not properties["Namespace"].startswith("AWS/"):
        yield f"metric {properties['Namespace']} {properties['MetricName']}" + flat(
            properties["Dimensions"]
        )


def in_common(first: Assembly, second: Assembly) -> set[str]:
    return set(names(first)) & set(names(second))


def test_they_have_no_name_in_common(first: Assembly, second: Assembly) -> None:
    assert len(set(names(first))) > 90
    assert len(set(names(second))) == len(set(names(first))) - 1, "the provider"
    assert in_common(first, second) == set()


def test_nothing_of_the_second_one_names_the_first(second: Assembly) -> None:
    for stack, template in second.templates.items():
        text = re.sub(WORDS, "", json.dumps(template).replace("\\", ""))
        assert not re.search(r".{0,60}(?i:prompt-?hub)[-/.\"].{0,40}", text), stack


def test_its_names_are_not_too_long(second: Assembly) -> None:
    assert lint(*second.path.rglob("*.template.json")) == ""


def test_a_name_that_stays_the_same_is_found(
    synthesise: Callable[..., Assembly], first: Assembly, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, constant in {
        "ledger_table": lambda stage, of="": f"prompt-hub-{stage}-ledger",
        "results_bucket": lambda *place: "-".join(("prompt-hub-results", *place)),
        "metric_namespace": lambda: "PromptHub",
        "event_source": lambda: "prompt-hub.rollback",
        "log_group": lambda *words: "/".join(("", "prompt-hub", *words)),
        "watch_role": lambda stage: f"prompt-hub-{stage}-watch",
        "pipeline_stack": lambda: "prompt-hub-pipeline",
    }.items():
        monkeypatch.setattr(aws_names, name, constant)
    changed = synthesise(CHANGES | SECONDS_OWN)
    found = in_common(first, changed)
    for wrong in (
        "AWS::DynamoDB::Table TableName prompt-hub-dev-ledger",
        f"AWS::S3::Bucket BucketName prompt-hub-results-{HOME}-us-east-1",
        "AWS::Logs::LogGroup LogGroupName /prompt-hub/dev/service",
        "AWS::IAM::Role RoleName prompt-hub-dev-watch",
        "stack prompt-hub-pipeline",
        "metric PromptHub/Service",
        "metric PromptHub ScoreMargin",
        "AWS::Events::Rule EventPattern",
    ):
        assert any(name.startswith(wrong) for name in found), (wrong, found)
    reached = {pattern for pattern, _ in reaching(changed, SECOND, plain(first))}
    assert f"arn:aws:dynamodb:us-east-1:{HOME}:table/prompt-hub-dev-ledger" in reached
    assert f"arn:aws:events:us-east-1:{HOME}:event-bus/default" in reached
    assert "*" in reached, "the namespace of metrics"


# --- Permissions ---------------------------------------------------------------------------------

SHARED = (
    # Of all: AWS tells nothing apart here, or it is read only.
    (r"\*", r"ecr:GetAuthorizationToken|ecs:DescribeTaskDefinition"),
    # IAM tells apart who writes metrics, and not who reads them.
    (r"\*", r"xray:Put\w+|cloudwatch:GetMetricData"),
    # CDK writes read only statements of one role as one, where all of them are on everything.
    (r"\*", r"cloudwatch:GetMetricData|ecs:(DescribeTaskDefinition|ListTaskDefinitions)"),
    (r".*:alarm:\*", r"cloudwatch:DescribeAlarms"),
    (r".*:(foundation-model|inference-profile)/.*", r"bedrock:InvokeModel"),
    # The bootstrap's, which belongs to the account: whoever may deploy by it, may deploy all.
    (r".*:role/cdk-.*", r"sts:AssumeRole"),
    (r"arn:\*:iam::.*:role/\*", r"sts:AssumeRole"),
    (r"\*", r"cloudformation:DescribeStacks|s3:ListBucket"),
    # CDK Pipelines' own: asset projects that are not known yet.
    (r".*:log-group:/aws/codebuild/\*|.*:report-group/\*|\*", r"(logs|codebuild):\w+"),
    # A key's policy says `*` for the key itself; its grants, what its principals use.
    (r"\*", r"kms:.*"),
)
"""Resources and actions that no installation has for itself, whatever it is called."""


def allowed(assembly: Assembly) -> Iterator[tuple[str, list[str], Json]]:
    """Yield each resource of each statement of a role, with the actions and the conditions."""
    for template in assembly.templates.values():
        for logical_id, resource in template["Resources"].items():
            # A rule's own role sends on what the rule's pattern let through.
            if not resource["Type"].startswith("AWS::IAM::") or logical_id.startswith("SentOn"):
                continue
            document = resource.get("Properties", {}).get("PolicyDocument", {})
            for statement in document.get("Statement", []):
                if statement["Effect"] == "Allow":
                    for pattern in listed(statement["Resource"]):
                        actions = listed(statement["Action"])
                        yield flat(pattern), actions, statement.get("Condition", {})


def called(pattern: str, name: str) -> str:
    """Return the ARN of a resource called `name`, of the kind that `pattern` is about."""
    head = pattern.split(":", 5)
    kind = re.match(r"[\w-]*[/:]/?", head[5]) if not pattern.startswith("arn:aws:s3:") else None
    return ":".join((*head[:5], f"{kind[0] if kind else ''}{name}"))


def reaching(mine: Assembly, own: str, others: set[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield what the roles of an installation may use of another one, which has names."""
    for pattern, actions, conditions in allowed(mine):
        if own not in pattern and "<" not in pattern.replace("<AWS::", "AWS::"):
            shared = any(
                re.fullmatch(resource, pattern)
                and all(re.fullmatch(action, each) for each in actions)
                for resource, action in SHARED
            )
            if not shared and not re.search(own_words(own), flat(conditions)):
                yield pattern, actions
        elif pattern.startswith("arn:"):
            for name in others:
                if any(
                    fnmatchcase(called(pattern, found), pattern)
                    for found in (name, f"{name}/x", f"{name}:x", f"{name}-x")
                ):
                    yield pattern, actions


def own_words(installation: str) -> str:
    namespace = "".join(map(str.capitalize, installation.split("-")))
    return rf'"({installation}\.rollback|{namespace}(/Service)?)"'


def plain(assembly: Assembly) -> set[str]:
    return {name.rpartition(" ")[2].lstrip("/") for name in names(assembly)}


def test_no_role_of_one_reaches_what_is_the_others(first: Assembly, second: Assembly) -> None:
    assert len({pattern for pattern, _, _ in allowed(first)}) > 100
    assert list(reaching(first, FIRST, plain(second))) == []
    assert list(reaching(second, SECOND, plain(first))) == []


def builds(assembly: Assembly) -> set[str]:
    """ARNs of one build of each project; what CloudFormation would make up stands in brackets."""
    return {
        f"arn:aws:codebuild:us-east-1:{HOME}:project/{flat(resource['Properties'].get('Name', {}))}"
        for template in assembly.templates.values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::CodeBuild::Project"
    }


def test_people_on_call_see_every_build_of_their_installation_and_of_no_other(
    first: Assembly, second: Assembly
) -> None:
    for mine, others in ((first, second), (second, first)):
        seen = [
            pattern
            for pattern, actions, _ in allowed(mine)
            if actions == ["codebuild:BatchGetBuilds"]
        ]
        assert len(builds(mine)) > 12
        assert all(any(fnmatchcase(arn, each) for each in seen) for arn in builds(mine)), seen
        assert not any(fnmatchcase(arn, each) for arn in builds(others) for each in seen)


def test_a_role_that_reaches_further_is_found(first: Assembly) -> None:
    assert len(list(reaching(first, FIRST, plain(first)))) > 50
    # A name that the settings refuse begins as the patterns of the first do.
    alarm = f"arn:aws:cloudwatch:us-east-1:{HOME}:alarm:prompt-hub-*"
    assert fnmatchcase(called(alarm, "prompt-hub-two-dev-score-brand"), alarm)


def test_patterns_of_one_match_no_name_of_another() -> None:
    known = ["prompt-hub", "prompthub", "shop", "shopping", "shop2", "p2", "a" * 16]
    for name in known:
        Settings.from_context({**CONTEXT[CONTEXT_KEY], "installation": name})
    pairs = [(one, other) for one in known for other in known if one != other]
    for one, other in pairs:
        assert not fnmatchcase(f"{other}-dev-ledger", f"{one}-*"), (one, other)
        assert not f"/{other}/dev".startswith(f"/{one}/")


@pytest.mark.parametrize(
    "name",
    [
        "prompt",
        "prompt-hub-two",
        "shop-one",
        "Shop",
        "1shop",
        "s",
        "a" * 17,
        "aws",
        "cdk",
        "",
        "ä1",
        "shop\n",
        "sthree",
        "prompt-hub\n",
    ],
)
def test_names_that_could_be_taken_for_others_are_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"installation is .*; it must have 2 to 16 small"):
        Settings.from_context({**CONTEXT[CONTEXT_KEY], "installation": name})


# --- Who learns it -------------------------------------------------------------------------------

CDKS_OWN = ("UpdatePipeline", "Assets")


def test_every_process_is_told(second: Assembly) -> None:
    told: dict[str, list[str | None]] = {"container": [], "lambda": [], "build": []}
    for template in second.templates.values():
        for logical_id, resource in template["Resources"].items():
            properties = resource.get("Properties", {})
            match resource["Type"]:
                case "AWS::ECS::TaskDefinition":
                    for container in properties["ContainerDefinitions"]:
                        told["container"].append(variable(container["Environment"], "Name"))
                case "AWS::Lambda::Function":
                    found = properties.get("Environment", {}).get("Variables", {})
                    told["lambda"].append(found.get(aws_names.ENV_INSTALLATION))
                case "AWS::CodeBuild::Project" if not any(own in logical_id for own in CDKS_OWN):
                    found = properties["Environment"].get("EnvironmentVariables", [])
                    told["build"].append(variable(found, "Name"))
    assert {kind: set(values) for kind, values in told.items()} == {
        "container": {SECOND},
        "lambda": {SECOND},
        "build": {SECOND},
    }
    assert len(told["build"]) > 10


def variable(found: list[Json], key: str) -> str | None:
    values = [item["Value"] for item in found if item[key] == aws_names.ENV_INSTALLATION]
    return values[0] if values else None


def test_the_words_of_make_deploy_name_its_stack(tmp_path: Path) -> None:
    (tmp_path / "cdk.json").write_text(
        json.dumps({"context": {CONTEXT_KEY: {"installation": SECOND}}})
    )
    venv = tmp_path / ".venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    done = subprocess.run(
        ["make", "--dry-run", "--file", str(ROOT / "Makefile"), "deploy"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"cdk deploy {SECOND}-pipeline --require-approval broadening" in done.stdout
