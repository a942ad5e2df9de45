"""Only Promote can write to the repository."""

from __future__ import annotations

import json

from prompt_hub.core import aws_names
from tests.infrastructure.conftest import Synthesise
from tests.infrastructure.synthesised import Assembly, Json, listed

READERS = ("Build/Synth", "Evaluate/Tests")
STRANGERS = (
    "UpdatePipeline/SelfMutate",
    "Assets/FileAssets",
    "Image/Image",
    "dev/Activate",
    "dev/SmokeTest",
    "dev/Drill",
    "dev/Record",
    "Verdict/Verdict",
)


def uses(statements: list[Json], effect: str) -> set[str]:
    """The prefixes under which the connection is allowed or denied."""
    return {
        action.split(":")[0]
        for statement in statements
        if statement["Effect"] == effect
        for action in listed(statement["Action"])
        if action.endswith(":UseConnection")
    }


def denied_writes(statements: list[Json]) -> set[str]:
    """The condition keys under which writing is denied, for both prefixes of the action."""
    keys = set()
    for statement in statements:
        if statement["Effect"] != "Deny":
            continue
        assert sorted(listed(statement["Action"])) == [
            "codeconnections:UseConnection",
            "codestar-connections:UseConnection",
        ]
        ((key, value),) = statement["Condition"]["StringEquals"].items()
        # Whatever else a clone may be: it is no push.
        assert "GitPush" in value
        assert not any(name.startswith(("Get", "List", "Start", "GitPull")) for name in value)
        keys.add(key)
    return keys


BOTH = {"codestar-connections:ProviderAction", "codeconnections:ProviderAction"}


def test_promote_may_write(assembly: Assembly) -> None:
    promote = assembly.role_of("Promote/Promote")
    assert uses(promote, "Allow") == {"codestar-connections", "codeconnections"}
    assert uses(promote, "Deny") == set()


def test_who_only_reads_the_source_is_denied_writing(assembly: Assembly) -> None:
    (evaluation,) = assembly.statements("evaluation").values()
    for statements in (*map(assembly.role_of, READERS), evaluation):
        assert uses(statements, "Allow") == {"codestar-connections", "codeconnections"}
        assert denied_writes(statements) == BOTH


def test_the_source_action_has_the_connection_under_both_of_its_names(assembly: Assembly) -> None:
    role = assembly.actions["Source/Source"]["RoleArn"]["Fn::GetAtt"][0]
    allowed = uses(assembly.statements("pipeline")[role], "Allow")
    assert allowed == {"codestar-connections", "codeconnections"}


def test_nobody_else_has_the_connection(assembly: Assembly) -> None:
    for action in STRANGERS:
        assert uses(assembly.role_of(action), "Allow") == set(), action
    for stack in ("dev-rollback", "dev-service", "github-oidc"):
        for role, statements in assembly.statements(stack).items():
            assert uses(statements, "Allow") == set(), role


def test_where_promotion_waits_for_its_merge_evaluations_fetch_it_and_still_push_nothing(
    assembly: Assembly, synthesise: Synthesise
) -> None:
    waits = {aws_names.ENV_PROMOTION_BRANCH: aws_names.PROMOTION_BRANCH}
    pulled = synthesise({"promotion": "pull-request"})
    for found, expected in ((assembly, {}), (pulled, waits)):
        project = found.only("evaluation", "AWS::CodeBuild::Project")
        told = (found.project(action) for action in ("Promote/Promote", "Verdict/Verdict"))
        for asked in (project, *told):
            variables = asked["Environment"]["EnvironmentVariables"]
            given = {load["Name"]: load["Value"] for load in variables}
            assert {name: given[name] for name in waits if name in given} == expected
        assert ("env" in json.loads(project["Source"]["BuildSpec"])) is bool(expected)
    (evaluation,) = pulled.statements("evaluation").values()
    assert denied_writes(evaluation) == BOTH


def test_only_promote_is_handed_git_credentials(assembly: Assembly) -> None:
    for action in (*READERS, *STRANGERS):
        if action != "Assets/FileAssets":
            assert "env" not in assembly.build_spec(action), action
    project = assembly.only("evaluation", "AWS::CodeBuild::Project")
    assert "env" not in json.loads(project["Source"]["BuildSpec"])


def test_a_connection_that_a_person_made_takes_the_place_of_ours(
    assembly: Assembly, synthesise: Synthesise
) -> None:
    arn = "arn:aws:codeconnections:us-east-1:123456789012:connection/0d1c8a6e"
    own = synthesise({"connection_arn": arn})
    for stack in ("prompt-hub-evaluation", "prompt-hub-pipeline"):
        text = json.dumps(own.templates[stack])
        assert arn in text
        assert "prompt-hub-source:" not in text
    # What takes the old one is deployed after this stack, and keeps it from being changed.
    ours, theirs = (of.templates["prompt-hub-source"] for of in (assembly, own))
    assert theirs["Resources"] == ours["Resources"]
    exported = "ExportsOutputFnGetAttConnectionConnectionArn55362C6C"
    assert theirs["Outputs"][exported] == ours["Outputs"][exported]
    assert theirs["Outputs"]["ConnectionArn"]["Value"] == arn
