"""Builds that really run: buildspecs, environments, logs, sources, `docker` without an engine."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local_aws.stack import LocalStack
from tests.local_aws.emulator import ROOT, LocalAws, eventually

REPOSITORY = "example/built"


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository whose tree asks for one local package and shows what it sees."""
    work = tmp_path_factory.mktemp("work")
    bare = tmp_path_factory.mktemp("remote") / "built.git"
    files = {
        "buildspec.yml": json.dumps(
            {
                "version": "0.2",
                "phases": {
                    "install": {"commands": ["mkdir node_modules", "date +%N > node_modules/made"]},
                    "build": {
                        "commands": [
                            "FOUND=$(ls pipeline_image)",
                            "WHO=$(python -c 'import prompt_word; print(prompt_word.WORD)')",
                            "MADE=$(cat node_modules/made)",
                            "AT=$(git rev-parse HEAD)",
                            'test -z "$(git status --porcelain)"',
                        ]
                    },
                },
                "env": {"exported-variables": ["WHO", "MADE", "AT", "FOUND"]},
            }
        ),
        ".gitignore": "node_modules/\n__pycache__/\n",
        "pipeline_image/prompt_word.py": "WORD = 'first'\n",
    }
    for name, text in files.items():
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_text(text)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    git(work, "init", "-q", "-b", "main")
    git(work, "add", ".")
    git(work, "commit", "-q", "-m", "first")
    git(work, "remote", "add", "origin", str(bare))
    git(work, "push", "-q", "origin", "main")
    (work / "pipeline_image" / "prompt_word.py").write_text("WORD = 'second'\n")
    git(work, "commit", "-q", "-a", "-m", "second")
    git(work, "push", "-q", "origin", "main")
    return bare


def git(where: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    done = subprocess.run(
        ["git", "-C", str(where), *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory, remote: Path) -> Iterator[LocalAws]:
    emulator = LocalAws(
        state=tmp_path_factory.mktemp("local-aws"),
        repositories={REPOSITORY: remote},
        overrides={"DOCKER_HOST": "unix:///nowhere.sock", "LAID_LAST": "by the local AWS"},
    )
    os.environ["GITHUB_TOKEN"] = "of the caller"
    emulator.start()
    del os.environ["GITHUB_TOKEN"]
    yield emulator
    emulator.stop()


def project(
    aws: LocalAws, name: str, buildspec: object, *, logs: Any = None, **source: str
) -> None:
    message = {"type": "NO_SOURCE", **source}
    if buildspec is not None:
        message["buildspec"] = buildspec if isinstance(buildspec, str) else json.dumps(buildspec)
    aws.client("codebuild").create_project(
        name=name,
        source=message,
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "environmentVariables": [{"name": "OF_PROJECT", "value": "project"}],
        },
        serviceRole="arn:aws:iam::000000000000:role/build",
        **({"logsConfig": logs} if logs else {}),
    )


def spec(*build: str, **more: object) -> dict[str, Any]:
    return {"version": "0.2", "phases": {"build": {"commands": list(build)}}} | more


def finished(aws: LocalAws, id_: str) -> dict[str, Any]:
    def probe() -> dict[str, Any] | None:
        build: dict[str, Any] = aws.client("codebuild").batch_get_builds(ids=[id_])["builds"][0]
        return build if build["buildStatus"] != "IN_PROGRESS" else None

    found = eventually(probe, what=f"the end of {id_}")
    assert found is not None
    return found


def build(aws: LocalAws, name: str, **arguments: Any) -> dict[str, Any]:
    started = aws.client("codebuild").start_build(projectName=name, **arguments)["build"]
    assert started["buildStatus"] == "IN_PROGRESS"
    return finished(aws, started["id"])


def exported(done: Mapping[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in done["exportedEnvironmentVariables"]}


def log_of(aws: LocalAws, done: Mapping[str, Any]) -> str:
    name, number = str(done["id"]).split(":")
    return (aws.state / "logs" / "codebuild" / name / f"{number}.log").read_text()


def test_commands_share_variables_and_folder_as_in_one_shell(aws: LocalAws) -> None:
    phases = {
        "pre_build": {"commands": ["mkdir inner && cd inner", "LINES='one\ntwo'"]},
        "build": {"commands": ["WHERE=$(basename $(pwd))", 'COUNT=$(echo "$LINES" | wc -l)']},
        "post_build": {"commands": ["LAST=$CODEBUILD_BUILD_SUCCEEDING"]},
    }
    names = ["WHERE", "COUNT", "LAST", "OF_PROJECT", "OF_SPEC"]
    env = {"variables": {"OF_PROJECT": "spec", "OF_SPEC": "spec"}, "exported-variables": names}
    project(aws, "shell", {"version": "0.2", "env": env, "phases": phases})

    done = build(
        aws, "shell", environmentVariablesOverride=[{"name": "LAID_LAST", "value": "by the build"}]
    )

    assert done["buildStatus"] == "SUCCEEDED"
    assert exported(done) == {
        "WHERE": "inner",
        "COUNT": "2",
        "LAST": "1",
        "OF_PROJECT": "project",
        "OF_SPEC": "spec",
    }
    assert [item["phaseType"] for item in done["phases"]][-1] == "UPLOAD_ARTIFACTS"


def test_a_build_sees_nothing_of_the_caller_and_the_overrides_last(aws: LocalAws) -> None:
    project(aws, "clean", spec("env | sort"))

    done = build(
        aws, "clean", environmentVariablesOverride=[{"name": "LAID_LAST", "value": "by the build"}]
    )
    seen = dict(line.split("=", 1) for line in log_of(aws, done).splitlines() if "=" in line[:40])

    assert "GITHUB_TOKEN" not in seen
    assert seen["LAID_LAST"] == "by the local AWS"
    assert seen["AWS_ENDPOINT_URL"] == aws.endpoint
    assert seen["CODEBUILD_BUILD_ID"] == done["id"]
    assert Path(seen["HOME"]) != Path.home()
    assert not Path(seen["HOME"]).exists(), "the scratch folder outlived the build"


def test_variables_come_from_parameters_and_secrets(aws: LocalAws) -> None:
    aws.client("ssm").put_parameter(Name="/word", Value="parameter", Type="String")
    aws.client("secretsmanager").create_secret(Name="key", SecretString='{"a": "secret"}')
    names = ["FROM_PARAMETER", "FROM_SECRET"]
    project(aws, "resolved", spec("true", env={"exported-variables": names}))

    done = build(
        aws,
        "resolved",
        environmentVariablesOverride=[
            {"name": "FROM_PARAMETER", "value": "/word", "type": "PARAMETER_STORE"},
            {"name": "FROM_SECRET", "value": "key:a", "type": "SECRETS_MANAGER"},
        ],
    )

    assert exported(done) == {"FROM_PARAMETER": "parameter", "FROM_SECRET": "secret"}


def test_a_failing_command_fails_the_build_and_says_why(aws: LocalAws) -> None:
    failing = spec("echo before", "echo the reason; exit 3", "echo never")
    failing["phases"]["post_build"] = {"commands": ["echo succeeding=$CODEBUILD_BUILD_SUCCEEDING"]}
    project(aws, "failing", failing)

    done = build(aws, "failing")

    assert done["buildStatus"] == "FAILED"
    last = done["phases"][-1]
    assert (last["phaseType"], last["phaseStatus"]) == ("BUILD", "FAILED")
    assert last["contexts"][0]["message"] == (
        "COMMAND_EXECUTION_ERROR: Error while executing command: echo the reason; exit 3. "
        "Reason: exit status 3"
    )
    lines = log_of(aws, done).splitlines()
    assert "succeeding=0" in lines
    assert "never" not in lines


def test_the_log_is_in_cloudwatch_logs(aws: LocalAws) -> None:
    project(aws, "logged", spec("echo first", "echo second"))

    done = build(aws, "logged")

    events = aws.client("logs").get_log_events(
        logGroupName=done["logs"]["groupName"],
        logStreamName=done["logs"]["streamName"],
        startFromHead=True,
    )["events"]
    assert [item["message"] for item in events] == log_of(aws, done).splitlines()
    assert "second" in [event["message"] for event in events]


OWN = {"groupName": "/own/{name}"}


@pytest.mark.parametrize(
    ("how", "logs", "group", "stream"),
    [
        ("create", {}, "/aws/codebuild/{name}", "{number}"),
        ("create", {"streamName": "s"}, "/aws/codebuild/{name}", "s/{number}"),
        ("create", OWN, "/own/{name}", "{number}"),
        ("update", {**OWN, "streamName": "s"}, "/own/{name}", "s/{number}"),
        ("stack", OWN, "/own/{name}", "{number}"),
        ("changed stack", OWN, "/own/{name}", "{number}"),
    ],
)
def test_the_log_goes_to_the_group_that_the_project_names(
    aws: LocalAws, how: str, logs: dict[str, str], group: str, stream: str
) -> None:
    name = f"grouped-{uuid.uuid4().hex[:8]}"
    told = {key: text.format(name=name) for key, text in logs.items()}
    buildspec = spec("echo path $CODEBUILD_LOG_PATH")
    config: Any = {"cloudWatchLogs": {"status": "ENABLED", **told}}
    if "stack" in how:
        stack_of_a_project(aws, name, buildspec, told if how == "stack" else {"groupName": "/was"})
        if how == "changed stack":
            stack_of_a_project(aws, name, buildspec, told, change=True)
    else:
        project(aws, name, buildspec, logs=config if how == "create" else None)
        if how == "update":
            aws.client("codebuild").update_project(name=name, logsConfig=config)

    done = build(aws, name)

    number = done["id"].partition(":")[2]
    place = {
        "groupName": group.format(name=name),
        "streamName": stream.format(number=number),
    }
    assert {key: done["logs"][key] for key in place} == place
    found = aws.client("logs").get_log_events(
        logGroupName=place["groupName"], logStreamName=place["streamName"], startFromHead=True
    )
    assert f"path {place['streamName']}" in [event["message"] for event in found["events"]]


def test_a_project_may_want_no_log_in_cloudwatch(aws: LocalAws) -> None:
    project(aws, "unlogged", spec("echo first"), logs={"cloudWatchLogs": {"status": "DISABLED"}})

    done = build(aws, "unlogged")

    assert done["buildStatus"] == "SUCCEEDED"
    assert done["logs"] == {"cloudWatchLogs": {"status": "DISABLED"}}
    groups = aws.client("logs").describe_log_groups(logGroupNamePrefix="/aws/codebuild/unlogged")
    assert groups["logGroups"] == []
    assert "first" in log_of(aws, done)


def stack_of_a_project(
    aws: LocalAws, name: str, buildspec: object, logs: dict[str, str], *, change: bool = False
) -> None:
    """Make or change a stack of one project that names where its logs go."""
    spelled = {key[0].upper() + key[1:]: text for key, text in logs.items()}
    properties = {
        "Name": name,
        "Source": {"Type": "NO_SOURCE", "BuildSpec": json.dumps(buildspec)},
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {
            "Type": "LINUX_CONTAINER",
            "Image": "aws/codebuild/standard:7.0",
            "ComputeType": "BUILD_GENERAL1_SMALL",
        },
        "ServiceRole": "arn:aws:iam::000000000000:role/build",
        "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", **spelled}},
    }
    template = {"Resources": {"P": {"Type": "AWS::CodeBuild::Project", "Properties": properties}}}
    client = aws.client("cloudformation")
    make = client.update_stack if change else client.create_stack
    make(StackName=name, TemplateBody=json.dumps(template))
    state = "UPDATE_COMPLETE" if change else "CREATE_COMPLETE"
    eventually(
        lambda: client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == state,
        what=f"the stack {name}",
    )


@pytest.mark.parametrize(
    ("buildspec", "reason"),
    [
        ("version: 0.2\nphases: [", "not YAML"),
        ({"version": "0.1"}, "version: 0.2"),
        ({"version": "0.2", "phases": {"deploy": {}}}, "unknown phase 'deploy'"),
        ({"version": "0.2", "batch": {}}, "does not act on batch"),
        ({"version": "0.2", "artifacts": {"files": ["{a"]}}, "has a group that does not end"),
    ],
)
def test_a_broken_buildspec_fails_the_build(
    aws: LocalAws, buildspec: object, reason: str, request: pytest.FixtureRequest
) -> None:
    name = f"broken-{abs(hash(request.node.name))}"
    project(aws, name, buildspec)

    done = build(aws, name)

    assert done["buildStatus"] == "FAILED"
    assert reason in done["phases"][-1]["contexts"][0]["message"]


def test_install_commands_run_once_for_what_they_depend_on(aws: LocalAws) -> None:
    message = spec("test -x $VIRTUAL_ENV/bin/pip")
    message["phases"]["install"] = {"commands": ["echo installing for real"]}
    project(aws, "installed", message)

    first, second = build(aws, "installed"), build(aws, "installed")

    assert "installing for real" in log_of(aws, first).splitlines()
    assert "installing for real" not in log_of(aws, second).splitlines()
    assert "1 install command(s) are not run" in log_of(aws, second)


def test_a_failed_install_leaves_no_environment_behind(aws: LocalAws) -> None:
    message = spec("true")
    message["phases"]["install"] = {"commands": ["echo try; false"]}
    project(aws, "uninstallable", message)

    for done in (build(aws, "uninstallable"), build(aws, "uninstallable")):
        assert done["buildStatus"] == "FAILED"
        assert done["phases"][-1]["phaseType"] == "INSTALL"
        assert "try" in log_of(aws, done).splitlines()


def test_builds_share_what_is_installed_but_not_their_code(aws: LocalAws, remote: Path) -> None:
    project(aws, "cloned", None, type="GITHUB", location=f"https://github.com/{REPOSITORY}.git")

    newest = exported(build(aws, "cloned"))
    before = exported(build(aws, "cloned", sourceVersion="main~1"))

    for found, revision, word in ((newest, "main", "second"), (before, "main~1", "first")):
        assert (found["AT"], found["WHO"]) == (git(remote, "rev-parse", revision), word)
    assert newest["MADE"] == before["MADE"]
    # What the first has compiled; Python finds it to be of another source, and does it again.
    assert (newest["FOUND"], before["FOUND"]) == ("prompt_word.py", "__pycache__\nprompt_word.py")


def test_stopping_a_build_ends_its_processes(aws: LocalAws) -> None:
    project(aws, "endless", spec("sleep 3600 & echo $!; sleep 3600"))
    id_ = aws.client("codebuild").start_build(projectName="endless")["build"]["id"]
    log = aws.state / "logs" / "codebuild" / "endless" / f"{id_.split(':')[1]}.log"

    def child() -> int | None:
        lines = log.read_text().splitlines() if log.exists() else []
        return next((int(line) for line in lines if line.isdigit()), None)

    running = eventually(child, what="the build's process")
    aws.client("codebuild").stop_build(id=id_)

    assert finished(aws, id_)["buildStatus"] == "STOPPED"
    assert not Path(f"/proc/{running}/cmdline").exists() or not (
        Path(f"/proc/{running}/cmdline").read_text()
    )


def test_what_a_build_leaves_waits_for_a_quiet_moment_but_its_secrets_do_not(
    tmp_path: Path,
) -> None:
    own = LocalAws(state=tmp_path / "cloud")
    own.start()
    try:
        project(own, "leaving", spec("touch made", "export TOKEN=hush"))
        left = own.state / "builds" / build(own, "leaving")["id"].split(":")[1]

        assert (left / "src" / "made").exists()
        assert [path.name for path in left.iterdir()] == ["src"]
    finally:
        own.stop()

    LocalStack(ROOT, tmp_path).stop()
    assert not left.exists()


def test_docker_without_an_engine_keeps_the_tree_and_registers_the_image(aws: LocalAws) -> None:
    ecr = aws.client("ecr")
    uri = ecr.create_repository(repositoryName="team/app")["repository"]["repositoryUri"]
    commands = [
        "mkdir -p app docs cdk.out && echo code > app/code && echo x > docs/a && touch Dockerfile",
        "echo y > docs/kept && printf 'docs/*\\n!docs/kept\\n# no\\n**/*.tmp\\n' > .dockerignore",
        "touch app/left.tmp",
        f"echo secret | docker login --username AWS --password-stdin {uri.split('/')[0]}",
        f"docker build --tag {uri}:r1 --file Dockerfile --build-arg RELEASE=r1 .",
        f"docker push {uri}:r1",
    ]
    project(aws, "imaged", spec(*commands))

    done = build(aws, "imaged")

    assert done["buildStatus"] == "SUCCEEDED", log_of(aws, done)
    tags = [item["imageTag"] for item in ecr.list_images(repositoryName="team/app")["imageIds"]]
    assert tags == ["r1"]
    image = json.loads((aws.state / "images" / "team" / "app" / "r1" / "image.json").read_text())
    tree = Path(image["tree"])
    kept = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file())
    assert kept == [".dockerignore", "Dockerfile", "app/code", "docs/kept"]
    assert (image["repository"], image["tag"]) == ("team/app", "r1")
    assert image["build_args"] == {"RELEASE": "r1"}
    assert Path(image["environment"], "bin", "python").exists()
    assert "not an engine" in log_of(aws, done)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("docker run alpine", "needs a Docker engine"),
        ("docker push reg.example.com/never:built", "has not been built here"),
        ("docker build --tag x:y --file Dockerfile .", "there is no Dockerfile"),
    ],
)
def test_docker_refuses_what_it_cannot_do(
    aws: LocalAws, command: str, reason: str, request: pytest.FixtureRequest
) -> None:
    name = f"refused-{abs(hash(request.node.name))}"
    project(aws, name, spec(command))

    done = build(aws, name)

    assert done["buildStatus"] == "FAILED"
    assert reason in log_of(aws, done)
