"""Two stages in two accounts and two regions: all that must cross does, and nothing else.

Each property is looked for in what `app.py` itself synthesised under cdk-nag, and again in a copy
in which one thing is wrong: there it must not be found.

Longer than a file should be: what crosses is one table, whose checks read the same resources.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from tests.infrastructure.synthesised import (
    CONTEXT,
    ROOT,
    Assembly,
    Json,
    checked_app,
    lint,
    listed,
)

HOME, OTHER = "111111111111", "222222222222"
DEV = {"name": "dev", "availability_zones": ["us-east-1a", "us-east-1b"], "drill": True}
PROD = {
    "name": "prod",
    "account": OTHER,
    "region": "eu-west-1",
    "availability_zones": ["eu-west-1a", "eu-west-1b"],
    "vpc_cidr": "10.21.0.0/16",
    "drill": True,
    "soak": {"rounds": 1},
    "models": {
        "catalogue-pinned": CONTEXT[CONTEXT_KEY]["models"]["catalogue-pinned"],
    },
}
LATER = {
    "name": "later",
    "account": OTHER,
    "availability_zones": ["us-east-1a", "us-east-1b"],
    "vpc_cidr": "10.22.0.0/16",
}
"""Of the other account in the pipeline's region: it takes artifacts from the pipeline's bucket."""


def settings(*stages: Mapping[str, object], **changes: object) -> Json:
    return {**CONTEXT[CONTEXT_KEY], "account": HOME, "stages": list(stages), **changes}


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """What `app.py` writes; cdk-nag ends it red where it finds anything."""
    return checked_app(settings(DEV, PROD, LATER), tmp_path_factory.mktemp("two"))


def test_cfn_lint_finds_nothing(crossing: Assembly) -> None:
    templates = list(crossing.path.rglob("*.template.json"))
    assert len(templates) == 4 + 1 + 2 + 1 + 3 * 3
    assert lint(*templates) == ""


# --- What must cross -----------------------------------------------------------------------------

Resources = dict[str, dict[str, Json]]
"""The resources of every stack, by the stack's name without its prefix."""


def flat(value: Any) -> Any:
    """A template with what CloudFormation joins joined, as far as it is known."""
    match value:
        case {"Fn::Join": [str(by), [*items]]}:
            return by.join(str(flat(item)) for item in items)
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": str(name)}:
            return f"<{name}>"
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return f"<{name}.{attribute}>"
        case {"Fn::ImportValue": str(name)}:
            return f"<{name}>"
        case {"Fn::Sub": str(text)}:
            return text.replace("${AWS::Partition}", "aws")
        case dict():
            return {key: flat(item) for key, item in value.items()}
        case list():
            return [flat(item) for item in value]
    return value


@pytest.fixture(scope="module")
def everything(crossing: Assembly) -> Resources:
    return {
        name.removeprefix("prompt-hub-"): flat(template["Resources"])
        for name, template in crossing.templates.items()
    }


def only(found: Resources, stack: str, kind: str, *, named: str = "") -> Json:
    """The properties of the one resource of its type, or of the one with `named` in its id."""
    (one,) = (
        resource["Properties"]
        for key, resource in found[stack].items()
        if resource["Type"] == kind and named in key
    )
    return cast(Json, one)


def support(found: Resources) -> str:
    """Name of the stack that CDK Pipelines makes in the other region."""
    (name,) = (name for name in found if "eu-west-1" in name)
    return name


def statements(found: Resources, stack: str, role: str) -> list[Json]:
    """What the policy of the role whose logical id begins with `role` allows."""
    return [
        statement
        for resource in found[stack].values()
        if resource["Type"] == "AWS::IAM::Policy"
        and any(re.match(f"<{role}", each) for each in resource["Properties"]["Roles"])
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    ]


def let_in(document: Json) -> list[tuple[str, list[str], list[str]]]:
    """Which roles of the other account a policy lets do what, each by the name of its role."""
    found = []
    for statement in document["Statement"]:
        principal = str(statement["Principal"])
        if statement["Effect"] == "Allow" and OTHER in principal:
            named = statement.get("Condition", {}).get("ArnEquals", {}).get("aws:PrincipalArn")
            if named is None:
                # CDK's own: the roles of the bootstrap, which are there before.
                assert ":root" not in principal, "everybody in the other account"
                named = statement["Principal"]["AWS"]
            actions, resources = listed(statement["Action"]), listed(statement.get("Resource", ""))
            found += [(role.rpartition("/")[2], actions, resources) for role in listed(named)]
    return found


def deploys(found: Resources) -> None:
    pipeline = only(found, "pipeline", "AWS::CodePipeline::Pipeline")
    (stage,) = (each for each in pipeline["Stages"] if each["Name"] == "prod")
    by_cloudformation = [
        action
        for action in stage["Actions"]
        if action["ActionTypeId"]["Provider"] == "CloudFormation"
    ]
    assert len(by_cloudformation) == 6
    for action in by_cloudformation:
        assert action["Region"] == "eu-west-1"
        assert f"iam::{OTHER}:role/" in action["RoleArn"]
    assert [store["Region"] for store in pipeline["ArtifactStores"]] == ["eu-west-1", "us-east-1"]
    for store in pipeline["ArtifactStores"]:
        assert store["ArtifactStore"]["EncryptionKey"]["Type"] == "KMS"


def artifacts_are_read(found: Resources) -> None:
    """The CDK's role of each stage reads the artifacts of its region, and opens them."""
    for stack, region in (("source", "us-east-1"), (support(found), "eu-west-1")):
        deployer = f"cdk-hnb659fds-deploy-role-{OTHER}-{region}"
        bucket = only(found, stack, "AWS::S3::Bucket")
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        policy = only(found, stack, "AWS::S3::BucketPolicy")["PolicyDocument"]
        (allowed,) = (entry for entry in let_in(policy) if entry[0] == deployer)
        assert "s3:GetObject*" in allowed[1]
        key = only(found, stack, "AWS::KMS::Key")
        assert key["EnableKeyRotation"] is True
        opens = [entry[1] for entry in let_in(key["KeyPolicy"]) if entry[0] == deployer]
        assert opens == [["kms:Decrypt", "kms:DescribeKey"]]


def artifacts_are_only_read(found: Resources) -> None:
    for stack in ("source", support(found)):
        policy = only(found, stack, "AWS::S3::BucketPolicy")["PolicyDocument"]
        for _, actions, _ in let_in(policy):
            assert all(re.match(r"s3:(Get|List)", action) for action in actions)


def images_are_pulled(found: Resources) -> None:
    """By the role that starts containers, from where they were pushed."""
    policy = only(found, "image", "AWS::ECR::Repository")["RepositoryPolicyText"]
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    assert [entry[:2] for entry in let_in(policy)] == [
        ("prompt-hub-prod-execution", pull),
        ("prompt-hub-later-execution", pull),
    ]
    (container,) = only(found, "prod-service", "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    assert container["Image"].startswith(f"{HOME}.dkr.ecr.us-east-1.")
    (allowed,) = (
        statement
        for statement in statements(found, "prod-service", "PromptsExecutionRole")
        if "ecr:BatchGetImage" in statement["Action"]
    )
    assert allowed["Resource"] == f"arn:aws:ecr:us-east-1:{HOME}:repository/prompt-hub"


def results_are_written(found: Resources) -> None:
    """Samples, smoke tests and drills of the stage, into the one bucket, and nothing else."""
    policy = only(found, "evaluation", "AWS::S3::BucketPolicy")["PolicyDocument"]
    entries = let_in(policy)
    written = {role: (acts, keys) for role, acts, keys in entries if acts == ["s3:PutObject"]}
    assert written.keys() == {
        f"prompt-hub-{stage}-{role}" for stage in ("prod", "later") for role in ("watch", "smoke")
    }
    read = {role: keys for role, actions, keys in entries if actions == ["s3:GetObject"]}
    assert read.keys() == written.keys()
    assert {str(keys).rpartition("/examples/")[2][:7] for keys in read.values()} == {"*.jsonl"}
    assert len(entries) == len(written) + len(read)
    bucket = f"prompt-hub-results-{HOME}-us-east-1"
    for role, wanted in (
        ("Watch", ["releases/*/prod-drill.json", "samples/prod/*/*.json"]),
        ("Smoke", ["releases/*/prod-smoke.json"]),
    ):
        actions, resources = written[f"prompt-hub-prod-{role.lower()}"]
        assert actions == ["s3:PutObject"]
        assert sorted(resource.partition("/")[2] for resource in listed(resources)) == wanted
        (own,) = (
            statement
            for statement in statements(found, "prod-service", f"Prompts{role}Role")
            if statement["Action"] == "s3:PutObject"
        )
        assert listed(own["Resource"]) == [f"arn:aws:s3:::{bucket}/{key}" for key in wanted]
    (container,) = only(found, "prod-service", "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    environment = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert environment["PROMPT_HUB_RESULTS_BUCKET"] == bucket
    assert environment["PROMPT_HUB_RESULTS_REGION"] == "us-east-1"


def models_are_the_stages_own(found: Resources) -> None:
    (container,) = only(found, "prod-service", "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    environment = {each["Name"]: each["Value"] for each in container["Environment"]}
    regions = {alias: model["region"] for alias, model in models(environment).items()}
    assert regions == {"catalogue-pinned": "eu-west-1", "catalogue-latest": "us-east-1"}
    (call,) = (
        statement
        for statement in statements(found, "prod-service", "PromptsTaskRole")
        if statement["Action"] == "bedrock:InvokeModel"
    )
    assert sorted(arn.split(":")[3] for arn in call["Resource"]) == ["eu-west-1", "us-east-1"]


def models(environment: Mapping[str, str]) -> Json:
    found: Json = json.loads(environment["PROMPT_HUB_MODELS"])
    return found


def rollbacks_are_heard(found: Resources) -> None:
    """The other account may say so, and the stage's bus does; that is what starts the pipeline."""
    bus = f"arn:aws:events:us-east-1:{HOME}:event-bus/default"
    statement = only(found, "pipeline", "AWS::Events::EventBusPolicy")["Statement"]
    said = {"source": "prompt-hub.rollback", "detail-type": "PromptRolledBack"}
    assert statement == {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": "events:PutEvents",
        "Resource": bus,
        "Condition": {"StringEquals": {f"events:{key}": value for key, value in said.items()}},
    }
    rule = only(found, "prod-rollback", "AWS::Events::Rule", named="SentOn")
    assert rule["EventPattern"] == {
        **{key: [value] for key, value in said.items()},
        "detail": {"stage": ["prod"]},
    }
    assert [target["Arn"] for target in rule["Targets"]] == [bus]
    (sends,) = statements(found, "prod-rollback", "SentOnEventsRole")
    assert (sends["Action"], sends["Resource"]) == ("events:PutEvents", bus)


ACTIONS = {
    "prod": {
        "evaluate": {"dynamodb:GetItem", "dynamodb:Query"},
        "promote": {"dynamodb:GetItem", "dynamodb:Query"},
        "image": {"dynamodb:GetItem", "dynamodb:Query"},
        "activate-prod": {
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "ecs:DescribeServices",
            "ecs:DescribeTaskDefinition",
            "ecs:RunTask",
            "ecs:TagResource",
            "iam:PassRole",
        },
        "smoketest-prod": {
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:RunTask",
            "ecs:TagResource",
            "iam:PassRole",
        },
        "drill-prod": {
            "dynamodb:ConditionCheckItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:RunTask",
            "ecs:TagResource",
            "iam:PassRole",
        },
        "record-prod": {"dynamodb:GetItem", "dynamodb:Query"},
        "soak-prod": {"dynamodb:GetItem", "dynamodb:Query"},
        "activate-later": {"dynamodb:GetItem", "dynamodb:Query"},
    }
}
"""What each action of the pipeline may do in prod: as much as it would be granted directly."""


def roles(found: Resources, stack: str) -> dict[str, tuple[str, Json]]:
    """The logical id and properties of the roles of a stack that have a name, by that."""
    return {
        resource["Properties"]["RoleName"]: (key, resource["Properties"])
        for key, resource in found[stack].items()
        if resource["Type"] == "AWS::IAM::Role" and "RoleName" in resource["Properties"]
    }


def actions_have_roles(found: Resources) -> None:
    there = roles(found, "prod-access")
    assert there.keys() == {f"prompt-hub-prod-for-{action}" for action in ACTIONS["prod"]}
    for action, wanted in ACTIONS["prod"].items():
        key, _ = there[f"prompt-hub-prod-for-{action}"]
        allowed = statements(found, "prod-access", key)
        assert {name for each in allowed for name in listed(each["Action"])} == wanted, action
        for each in allowed:
            for resource in listed(each["Resource"]):
                anywhere = listed(each["Action"]) == ["ecs:DescribeTaskDefinition"]
                ours = f":{OTHER}:" in resource and "prompt-hub-prod" in resource
                assert ours or anywhere, resource


def actions_alone_are_trusted(found: Resources) -> None:
    for action in ACTIONS["prod"]:
        _, role = roles(found, "prod-access")[f"prompt-hub-prod-for-{action}"]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        builder = f"arn:aws:iam::{HOME}:role/prompt-hub-build-{action}"
        assert trust["Principal"] == {"AWS": f"arn:aws:iam::{HOME}:root"}
        assert trust["Condition"] == {"ArnEquals": {"aws:PrincipalArn": builder}}


def actions_assume_them(found: Resources) -> None:
    for action in ACTIONS["prod"]:
        stack = "evaluation" if action == "evaluate" else "pipeline"
        key, _ = roles(found, stack)[f"prompt-hub-build-{action}"]
        assumed = [
            arn
            for statement in statements(found, stack, f"{key}>")
            if statement["Action"] == "sts:AssumeRole"
            for arn in listed(statement["Resource"])
        ]
        assert f"arn:aws:iam::{OTHER}:role/prompt-hub-prod-for-{action}" in assumed
        assert all(arn.endswith(f"-for-{action}") for arn in assumed)


def pipeline_updates_what_is_there(found: Resources) -> None:
    """Self-mutation deploys the roles, so it acts as the CDK's roles there; CDK forgets that."""
    assumed = {
        arn
        for statement in statements(found, "pipeline", "PipelineUpdatePipelineSelfMutationRole")
        if statement["Action"] == "sts:AssumeRole" and "Condition" not in statement
        for arn in statement["Resource"]
    }
    assert assumed == {
        f"arn:aws:iam::{OTHER}:role/cdk-hnb659fds-{kind}-role-{OTHER}-{region}"
        for kind in ("deploy", "file-publishing")
        for region in ("eu-west-1", "us-east-1")
    }


def everything_of_a_stage_is_there(found: Resources) -> None:
    """No statement of the stage's own roles names a ledger, function or topic elsewhere."""
    for stack in ("prod-service", "prod-rollback"):
        for resource in found[stack].values():
            if resource["Type"] == "AWS::IAM::Policy":
                text = json.dumps(resource)
                assert re.search(rf":(dynamodb|lambda|sns|ecs|logs):[^:]*:{HOME}:", text) is None


# --- Each, and the mutation that breaks it -------------------------------------------------------


@dataclass(frozen=True)
class Property:
    holds: Callable[[Resources], None]
    stack: str
    kind: str
    old: str
    """What is wrong where `new` stands in its place, in the resources of `kind` of a stack."""
    new: str


BUCKET, POLICY, ROLE = "AWS::S3::Bucket", "AWS::IAM::Policy", "AWS::IAM::Role"
PROPERTIES = [
    Property(deploys, "pipeline", "AWS::CodePipeline::Pipeline", '"KMS"', '"S3"'),
    Property(deploys, "pipeline", "AWS::CodePipeline::Pipeline", f"iam::{OTHER}", f"iam::{HOME}"),
    Property(artifacts_are_read, "source", BUCKET, "aws:kms", "AES256"),
    Property(artifacts_are_read, "source", "AWS::S3::BucketPolicy", OTHER, HOME),
    Property(artifacts_are_read, "source", "AWS::KMS::Key", OTHER, HOME),
    Property(artifacts_are_read, "eu-west-1", "AWS::S3::BucketPolicy", "s3:GetObject*", "s3:Get"),
    Property(artifacts_are_read, "eu-west-1", "AWS::KMS::Key", "true", "false"),
    Property(artifacts_are_only_read, "source", "AWS::S3::BucketPolicy", "GetObject", "PutObject"),
    Property(artifacts_are_only_read, "source", "AWS::S3::BucketPolicy", "ArnEquals", "ArnLike"),
    Property(images_are_pulled, "image", "AWS::ECR::Repository", "prod-execution", "prod-task"),
    Property(images_are_pulled, "image", "AWS::ECR::Repository", "ecr:BatchGetImage", "ecr:*"),
    Property(images_are_pulled, "prod-service", "AWS::ECS::TaskDefinition", HOME, OTHER),
    Property(images_are_pulled, "prod-service", POLICY, f"us-east-1:{HOME}", f"eu-west-1:{OTHER}"),
    Property(results_are_written, "evaluation", "AWS::S3::BucketPolicy", "/samples/prod", ""),
    Property(results_are_written, "evaluation", "AWS::S3::BucketPolicy", "prod-watch", "prod-task"),
    Property(results_are_written, "evaluation", "AWS::S3::BucketPolicy", "ArnEquals", "ArnLike"),
    Property(results_are_written, "prod-service", POLICY, f"results-{HOME}", f"results-{OTHER}"),
    Property(results_are_written, "prod-service", "AWS::ECS::TaskDefinition", "S_REGION", "S"),
    Property(models_are_the_stages_own, "prod-service", POLICY, "bedrock:eu-west-1", "bedrock:x"),
    Property(rollbacks_are_heard, "pipeline", "AWS::Events::EventBusPolicy", "PromptRolled", ""),
    Property(rollbacks_are_heard, "prod-rollback", "AWS::Events::Rule", HOME, OTHER),
    Property(rollbacks_are_heard, "prod-rollback", "AWS::Events::Rule", '"prod"', '"dev"'),
    Property(rollbacks_are_heard, "prod-rollback", POLICY, f"1:{HOME}:event", f"1:{OTHER}:event"),
    Property(actions_have_roles, "prod-access", POLICY, "dynamodb:Query", "dynamodb:*"),
    Property(actions_have_roles, "prod-access", POLICY, "table/prompt-hub-prod", "table/other"),
    Property(actions_have_roles, "prod-access", ROLE, "for-soak", "for-x"),
    Property(actions_alone_are_trusted, "prod-access", ROLE, "build-activate-prod", "build-*"),
    Property(actions_alone_are_trusted, "prod-access", ROLE, "ArnEquals", "ArnNotEquals"),
    Property(actions_assume_them, "pipeline", ROLE, "prompt-hub-build-promote", "promote"),
    Property(actions_assume_them, "pipeline", POLICY, "prod-for-record-prod", "prod-for-soak-prod"),
    Property(actions_assume_them, "evaluation", POLICY, "sts:AssumeRole", "sts:TagSession"),
    Property(pipeline_updates_what_is_there, "pipeline", POLICY, "file-publishing-role", "x-role"),
    Property(everything_of_a_stage_is_there, "prod-rollback", POLICY, f"1:{OTHER}", f"1:{HOME}"),
]


@pytest.mark.parametrize(
    "known", PROPERTIES, ids=[f"{each.holds.__name__}-{each.new}" for each in PROPERTIES]
)
def test_what_crosses_is_let_through_and_its_lack_is_noticed(
    everything: Resources, known: Property
) -> None:
    known.holds(everything)
    wrong = copy.deepcopy(everything)
    stack = support(wrong) if known.stack == "eu-west-1" else known.stack
    changed = 0
    for key, resource in wrong[stack].items():
        text = json.dumps(resource)
        if resource["Type"] == known.kind and known.old in text:
            wrong[stack][key] = json.loads(text.replace(known.old, known.new))
            changed += 1
    assert changed, "there was nothing to change"
    with pytest.raises((AssertionError, ValueError, KeyError)):
        known.holds(wrong)


def test_the_roles_are_deployed_with_the_pipeline(crossing: Assembly) -> None:
    """Before the first release of their stage, whose ledger is asked before."""
    manifest = json.loads((crossing.path / "manifest.json").read_text())["artifacts"]
    assert {"prompt-hub-prod-access", "prompt-hub-later-access"} <= set(
        manifest["prompt-hub-pipeline"]["dependencies"]
    )
    assert manifest["prompt-hub-prod-access"]["environment"] == f"aws://{OTHER}/eu-west-1"


def test_what_takes_the_key_of_artifacts_is_what_the_page_deploys_first(
    crossing: Assembly, synthesise: Callable[..., Assembly]
) -> None:
    """CloudFormation removes no export that is in use: the key goes with the last such stage."""

    def keyed(assembly: Assembly) -> set[str]:
        templates = assembly.templates.items()
        return {name for name, template in templates if "GetAttArtifactKey" in json.dumps(template)}

    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    (command,) = re.findall(r'make deploy STACK="(.*) --exclusively"', page)
    assert keyed(crossing) == {"prompt-hub-source", *command.split()}
    alone = synthesise({"account": HOME, "stages": [DEV]})
    assert keyed(alone) == set()


def test_an_action_writes_the_configuration_in_which_the_runtime_finds_its_role(
    crossing: Assembly, tmp_path: Path
) -> None:
    """Run by a shell, read by botocore, for the action that has two stages elsewhere."""
    commands = crossing.build_spec("later/Activate")["phases"]["build"]["commands"]
    assert commands[1:] == ["python -m prompt_hub.cli activate"]
    subprocess.run(
        ["sh", "-ec", commands[0]], env={**os.environ, "HOME": str(tmp_path)}, check=True
    )
    read = (
        "import json; from botocore.session import Session;"
        "print(json.dumps(Session().full_config['profiles']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", read],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {
        f"prompt-hub-{stage}": {
            "role_arn": f"arn:aws:iam::{OTHER}:role/prompt-hub-{stage}-for-activate-later",
            "credential_source": "EcsContainer",
            "region": region,
        }
        for stage, region in (("prod", "eu-west-1"), ("later", "us-east-1"))
    }
    assert crossing.build_spec("dev/Activate")["phases"]["build"]["commands"] == commands[1:]


def test_a_stage_of_the_installations_own_place_crosses_nothing(
    assembly: Assembly, synthesise: Callable[..., Assembly]
) -> None:
    """Said or not said: there is one account and one region, with no key and no policy."""
    said = synthesise(
        {"account": HOME, "stages": [{**DEV, "account": HOME, "region": "us-east-1"}]}
    )
    for each in (assembly, said):
        kinds = {
            resource["Type"]
            for template in each.templates.values()
            for resource in template["Resources"].values()
        }
        assert not kinds & {"AWS::KMS::Key", "AWS::Events::EventBusPolicy"}
        assert not [name for name in each.templates if name.endswith("access")]
        assert "RepositoryPolicyText" not in each.only("image", "AWS::ECR::Repository")
        written = json.dumps(each.templates)
        assert "role/prompt-hub-build-" not in written
        assert '"RoleName": "prompt-hub-build-' not in written


# --- Settings ------------------------------------------------------------------------------------

MODEL = CONTEXT[CONTEXT_KEY]["models"]["catalogue-pinned"]


@pytest.mark.parametrize(
    ("stage", "changes", "sentence"),
    [
        ({"account": "12"}, {}, ".account is '12'; it must look like 123456789012."),
        ({"region": "dublin"}, {}, ".region is 'dublin'; it must look like us-east-1."),
        (
            {"availability_zones": ["us-east-1a", "us-east-1b"]},
            {},
            ".availability_zones is 'us-east-1a'; it must look like eu-west-1a.",
        ),
        (
            {},
            {"account": None},
            f".account is {OTHER}; with stages elsewhere the pipeline's own account must be said,"
            " too: prompt-hub.account.",
        ),
        (
            {"region": "cn-north-1", "availability_zones": ["cn-north-1a", "cn-north-1b"]},
            {},
            ".region is cn-north-1; from us-east-1 it cannot be reached: it belongs to another"
            " partition of AWS, with accounts of its own.",
        ),
        (
            {"nat_gateways": 0},
            {},
            ".nat_gateways is 0; without one prod reaches neither the images nor the results,"
            " which are in us-east-1.",
        ),
        (
            {"domain": {"name": "a.example.com", "certificate_arn": "arn:aws:acm:us-east-1:1"}},
            {},
            ".domain.certificate_arn is 'arn:aws:acm:us-east-1:1'; it must look like ",
        ),
        (
            {
                "domain": {
                    "name": "a.example.com",
                    "certificate_arn": f"arn:aws:acm:us-east-1:{OTHER}:certificate/0123",
                }
            },
            {},
            f".domain.certificate_arn is 'arn:aws:acm:us-east-1:{OTHER}:certificate/0123'; a load"
            " balancer takes only a certificate of its own region, eu-west-1.",
        ),
        (
            {
                "domain": {
                    "name": "a.example.com",
                    "certificate_arn": f"arn:aws:acm:eu-west-1:{HOME}:certificate/0123",
                }
            },
            {},
            f".domain.certificate_arn is 'arn:aws:acm:eu-west-1:{HOME}:certificate/0123'; a load"
            f" balancer takes only a certificate of its own account, {OTHER}.",
        ),
        (
            {"models": {"other": MODEL}},
            {},
            ".models: the alias 'other' is none of prompt-hub.models, which are what is measured.",
        ),
        (
            {"models": {"catalogue-pinned": {"provider": "bedrock", "model": "m"}}},
            {},
            ".models.catalogue-pinned is bedrock:m; measured is"
            " bedrock:openai.gpt-oss-20b-1:0+reasoning-low-1024, and nothing else is activated."
            " Region, key and limits may differ.",
        ),
        (
            {"vpc_cidr": "10.20.0.0/16"},
            {},
            ".vpc_cidr is 10.20.0.0/16, which overlaps the network of dev; name another one, such"
            " as 10.21.0.0/16.",
        ),
    ],
)
def test_a_stage_that_cannot_live_there_is_refused(
    stage: Json, changes: Json, sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(settings(DEV, {**PROD, **stage}, **changes))
    assert str(caught.value).startswith(f"prompt-hub.stages[1]{sentence}")


def test_a_stage_without_a_way_out_may_have_its_own_account_in_the_region() -> None:
    read = Settings.from_context(settings(DEV, {**LATER, "nat_gateways": 0}))
    assert read.has_own_account(read.stages[1])
