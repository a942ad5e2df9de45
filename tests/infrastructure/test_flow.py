"""The pipeline runs the lifecycle, in its order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from tests.infrastructure.synthesised import TASKS, Assembly, task

OWN = {"Synth", "Tests", "Promote", "Image", "Activate", "SmokeTest", "Record"}
EXECUTION = "#{codepipeline.PipelineExecutionId}"


def test_the_actions_stand_in_the_order_of_the_lifecycle(assembly: Assembly) -> None:
    assert list(assembly.actions) == [
        "Source/Source",
        "Build/Synth",
        "UpdatePipeline/SelfMutate",
        "Assets/FileAssets",
        "Evaluate/Tests",
        "Evaluate/part-class",
        "Evaluate/shop-category",
        "Promote/Promote",
        "Image/Image",
        "dev/prompt-hub-dev-ledger.Prepare",
        "dev/prompt-hub-dev-ledger.Deploy",
        "dev/prompt-hub-dev-rollback.Prepare",
        "dev/prompt-hub-dev-rollback.Deploy",
        "dev/prompt-hub-dev-service.Prepare",
        "dev/prompt-hub-dev-service.Deploy",
        "dev/Activate",
        "dev/SmokeTest",
        "dev/Drill",
        "dev/Record",
        "Verdict/Verdict",
    ]


def test_activation_smoke_test_and_record_follow_one_another(assembly: Assembly) -> None:
    orders = [
        assembly.actions[f"dev/{name}"]["RunOrder"]
        for name in ("prompt-hub-dev-service.Deploy", "Activate", "SmokeTest", "Record")
    ]
    assert orders == sorted(set(orders))


def test_code_is_tested_beside_the_evaluations_and_before_anything_is_promoted(
    assembly: Assembly,
) -> None:
    names = list(assembly.actions)
    beside = {assembly.actions[name]["RunOrder"] for name in names if name.startswith("Evaluate/")}

    assert beside == {1}
    assert names.index("Evaluate/Tests") < names.index("Promote/Promote")


def test_every_task_is_evaluated_at_once_by_one_shared_project(assembly: Assembly) -> None:
    actions = [assembly.actions[f"Evaluate/{task.name}"] for task in TASKS]

    assert {action["RunOrder"] for action in actions} == {1}
    projects = [action["Configuration"]["ProjectName"] for action in actions]
    (export,) = {project["Fn::ImportValue"] for project in projects}
    outputs = assembly.templates["prompt-hub-evaluation"]["Outputs"].values()
    (project_id,) = assembly.resources("evaluation", "AWS::CodeBuild::Project")
    assert [output["Value"] for output in outputs if output["Export"]["Name"] == export] == [
        {"Ref": project_id}
    ]
    assert assembly.environment("Evaluate/part-class") == {
        "PROMPT_HUB_TASK": "part-class",
        "PROMPT_HUB_EXECUTION": EXECUTION,
    }


def test_more_than_fifty_tasks_are_spread_over_stages_that_codepipeline_accepts(
    synthesise: Callable[..., Assembly],
) -> None:
    many = synthesise(tasks=tuple(task(f"task-{number}") for number in range(51)))

    wave = [name for name in many.actions if name.startswith("Evaluate")]
    assert len([name for name in wave if not name.endswith("/Tests")]) == 51
    stages = [name.split("/")[0] for name in wave]
    assert max(stages.count(stage) for stage in stages) == 50
    for project in many.resources("pipeline", "AWS::CodeBuild::Project").values():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{1,254}", project["Name"])


def test_what_promotion_leaves_is_what_is_released(assembly: Assembly) -> None:
    def reads(action: str) -> list[str]:
        return [item["Name"] for item in assembly.actions[action]["InputArtifacts"]]

    (source,) = assembly.actions["Source/Source"]["OutputArtifacts"]
    (tree,) = assembly.actions["Promote/Promote"]["OutputArtifacts"]
    for action in ("Build/Synth", "Evaluate/Tests", "Evaluate/part-class", "Promote/Promote"):
        assert reads(action) == [source["Name"]]
    stage = ("dev/Activate", "dev/SmokeTest", "dev/Drill", "dev/Record")
    for action in ("Image/Image", *stage, "Verdict/Verdict"):
        assert reads(action) == [tree["Name"]]


def test_each_action_runs_its_command_with_its_environment(assembly: Assembly) -> None:
    commands = {
        "Build/Synth": [
            "python pipeline_image/validate_prompt.py --tell",
            "node_modules/.bin/cdk synth --quiet"
            " --app 'python -m prompt_hub.release.checked_templates python app.py'",
        ],
        "Evaluate/Tests": [
            "python -m prompt_hub.release.code_tests"
            " python -m pytest --quiet -n 3 --dist worksteal -p no:anyio -p no:hypothesispytest"
            " -m 'not shipped'"
            " tests/unit tests/lambdas --ignore=tests/unit/authoring --ignore=tests/unit/benchmarks"
            " --ignore=tests/unit/console --ignore=tests/unit/doctor --ignore=tests/unit/loader"
            " --ignore=tests/unit/provenance --ignore=tests/unit/test_completion.py"
            " --ignore=tests/unit/test_dashboard_picture.py"
            " --ignore=tests/unit/evaluation/test_replay.py"
            " --ignore=tests/unit/release/test_moves_by_hand.py"
            " --ignore=tests/unit/reporting/test_catalogue.py"
            " --ignore=tests/unit/reporting/test_diff.py"
            " --ignore=tests/unit/reporting/test_links.py"
            " --ignore=tests/unit/reporting/test_pull_request.py"
            " --ignore=tests/unit/reporting/test_report_command.py"
            " --ignore=tests/unit/reporting/test_run_page.py"
            " --ignore=tests/unit/test_file_sizes.py --ignore=tests/unit/test_imports.py"
            " --ignore=tests/unit/test_plurals.py --ignore=tests/unit/test_tiers.py",
        ],
        "Promote/Promote": [
            "python pipeline_image/promote_prompt.py execution --push",
            "python -m prompt_hub.cli verdict --tell --summary .prompt-hub/notes/blocked",
            'export BLOCKED="$(cat .prompt-hub/notes/blocked)"',
            "rm -rf .git .prompt-hub",
        ],
        "Image/Image": ["python -m prompt_hub.cli image"],
        "dev/Activate": ["python -m prompt_hub.cli activate"],
        "dev/SmokeTest": ["python -m prompt_hub.cli smoke-test"],
        "dev/Drill": ["python -m prompt_hub.cli drill"],
        "dev/Record": ["python -m prompt_hub.cli record"],
        "Verdict/Verdict": ["python -m prompt_hub.cli verdict"],
    }
    stage = {
        "PROMPT_HUB_STAGE",
        "PROMPT_HUB_LEDGER_TABLE",
        "PROMPT_HUB_RESULTS_BUCKET",
        "PROMPT_HUB_RELEASE",
        "PROMPT_HUB_MODELS",
    }
    variables = {
        "Build/Synth": {
            "PROMPT_HUB_RELEASE",
            "PROMPT_HUB_RESULTS_BUCKET",
            "PROMPT_HUB_TOPIC_ARN",
        },
        "Evaluate/Tests": {"PROMPT_HUB_EXECUTION", "PROMPT_HUB_RESULTS_BUCKET"},
        "Promote/Promote": {
            "PROMPT_HUB_EXECUTION",
            "PROMPT_HUB_RESULTS_BUCKET",
            "PROMPT_HUB_BRANCH",
            "PROMPT_HUB_STAGES",
            "PROMPT_HUB_TOPIC_ARN",
        },
        "Image/Image": {
            "PROMPT_HUB_RELEASE",
            "PROMPT_HUB_RESULTS_BUCKET",
            "PROMPT_HUB_REPOSITORY_URI",
            "PROMPT_HUB_STAGES",
        },
        "dev/Activate": stage,
        "dev/SmokeTest": stage,
        "dev/Drill": stage,
        "dev/Record": stage,
        "Verdict/Verdict": {"PROMPT_HUB_EXECUTION", "PROMPT_HUB_RESULTS_BUCKET"},
    }
    for action, expected in commands.items():
        assert assembly.build_spec(action)["phases"]["build"]["commands"] == expected
        project = assembly.project(action)["Environment"]["EnvironmentVariables"]
        found = {item["Name"] for item in project} | set(assembly.environment(action))
        told = {name for name in found if name.startswith("PROMPT_HUB")}
        assert told == variables[action] | {"PROMPT_HUB_INSTALLATION"}
        # The checked-out tree comes before whatever an install cache holds.
        assert {"Name": "PYTHONPATH", "Type": "PLAINTEXT", "Value": "pipeline_image"} in project


def test_only_installs_stand_in_install_phases(assembly: Assembly) -> None:
    for action in assembly.actions:
        if action.split("/")[1] in OWN:
            for command in assembly.build_spec(action)["phases"]["install"]["commands"]:
                assert command.startswith(
                    (
                        "pip install --require-hashes --only-binary :all: ",
                        "python -m uv pip install --require-hashes --only-binary :all: ",
                        "npm ci ",
                    )
                )


def test_only_the_image_is_built_privileged(assembly: Assembly) -> None:
    privileged = [
        project["Description"]
        for stack in ("pipeline", "evaluation")
        for project in assembly.resources(stack, "AWS::CodeBuild::Project").values()
        if project["Environment"]["PrivilegedMode"]
    ]
    assert privileged == ["Pipeline step prompt-hub-pipeline/Pipeline/Image/Image"]


def test_promotion_gets_the_whole_history(assembly: Assembly) -> None:
    source = assembly.actions["Source/Source"]["Configuration"]
    assert source["OutputArtifactFormat"] == "CODEBUILD_CLONE_REF"
    assert source["DetectChanges"] is False
    assert assembly.build_spec("Promote/Promote")["env"] == {
        "git-credential-helper": "yes",
        "exported-variables": ["BLOCKED"],
    }


def test_every_build_log_ends_one_day(assembly: Assembly) -> None:
    for stack in ("pipeline", "evaluation"):
        (log_group,) = assembly.resources(stack, "AWS::Logs::LogGroup")
        for project in assembly.resources(stack, "AWS::CodeBuild::Project").values():
            assert project["LogsConfig"]["CloudWatchLogs"]["GroupName"] == {"Ref": log_group}
        assert assembly.only(stack, "AWS::Logs::LogGroup")["RetentionInDays"] == 90


def test_people_hear_of_a_block_from_the_action_that_writes_it_into_git(assembly: Assembly) -> None:
    """A newer execution may supersede this one in front of whatever comes next."""
    assert assembly.build_spec("Promote/Promote")["env"]["exported-variables"] == ["BLOCKED"]
    topic = assembly.only("pipeline", "AWS::SNS::Topic")["TopicName"]
    variables = assembly.project("Promote/Promote")["Environment"]["EnvironmentVariables"]
    (arn,) = (item["Value"] for item in variables if item["Name"] == "PROMPT_HUB_TOPIC_ARN")
    assert json.dumps(arn).endswith(f':{topic}"]]}}')


def test_people_hear_of_an_execution_that_ends_red(synthesise: Callable[..., Assembly]) -> None:
    assembly = synthesise({"notification_emails": ["authors@example.com"]})
    (rule,) = (
        resource
        for resource in assembly.resources("pipeline", "AWS::Events::Rule").values()
        if resource["EventPattern"].get("detail", {}).get("state") == ["FAILED"]
    )
    assert rule["EventPattern"]["source"] == ["aws.codepipeline"]
    (topic,) = assembly.resources("pipeline", "AWS::SNS::Topic")
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": topic}
    subscription = assembly.only("pipeline", "AWS::SNS::Subscription")
    assert (subscription["Endpoint"], subscription["TopicArn"]) == (
        "authors@example.com",
        {"Ref": topic},
    )


def test_an_address_that_is_named_twice_is_told_once(synthesise: Callable[..., Assembly]) -> None:
    twice = ["people@example.com", "people@example.com"]
    zones = ["us-east-1a", "us-east-1b"]
    stage = {"name": "dev", "availability_zones": zones, "notification_emails": twice}
    assembly = synthesise({"notification_emails": twice, "stages": [stage]})
    for stack in ("pipeline", "dev-rollback"):
        subscription = assembly.only(stack, "AWS::SNS::Subscription")
        assert subscription["Endpoint"] == "people@example.com"


def test_a_stage_drills_only_where_it_says_so(synthesise: Callable[..., Assembly]) -> None:
    stages = [
        {"name": name, "availability_zones": ["us-east-1a", "us-east-1b"], **drill}
        for name, drill in (("dev", {"drill": True}), ("prod", {"vpc_cidr": "10.21.0.0/16"}))
    ]
    both = synthesise({"stages": stages})
    drills = [name for name in both.actions if name.endswith("/Drill")]
    assert drills == ["dev/Drill"]
    drill, record = both.actions["dev/Drill"], both.actions["dev/Record"]
    assert both.actions["dev/SmokeTest"]["RunOrder"] < drill["RunOrder"] < record["RunOrder"]
