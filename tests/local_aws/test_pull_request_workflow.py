"""The steps of the pull-request workflow, run as its file states them, against the local AWS.

Read from the YAML, not copied. What `uses:` an action cannot run here: `ACTIONS` says which, and
what stands in for it. All jobs share one machine, and `TIERS` are only asked what they would run:
`make test`, which runs this, runs the same tiers beside it.

Longer than a file should be: every job runs on one stand, which takes a minute to make.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from cdk_app.settings import CONTEXT_KEY, Settings
from local_aws.isolation import isolated
from prompt_hub.llm.config import ModelAliases
from prompt_hub.repository.schema import JsonObject
from tests.local_aws.emulator import ACCOUNT, ROOT, SECRET, LocalAws
from tests.local_aws.issuer import GITHUB, Issuer, issuing
from tests.local_aws.workflow_steps import Job, nothing_to_do, path_of, read_workflow
from tests.unit.batch.servers import completion, serving
from tests.unit.building import build, catalogue_answer

pytestmark = pytest.mark.lifecycle

WORKFLOW = read_workflow(ROOT / ".github/workflows/pull-request.yml")
REPOSITORY = "example/gpt-pipeline-hub"
REGION = "us-east-1"
MERGE = "refs/pull/7/merge"
ASKED = {"MAKEFLAGS": "n"}
TIERS = {"Lint, with annotations": ASKED, "Types and unit tests": ASKED}
KEYED = {"provider": "openai", "model": "gpt-4.1-mini", "secret": "prompt-hub/openai"}
KEYED["base_url"] = "https://127.0.0.1:9/v1"
GH = Path(__file__).with_name("gh_stand_in.py")


class Model:
    """Bedrock on loopback: right, or wrong throughout; it keeps what signed each request."""

    def __init__(self) -> None:
        self.right = True
        self.calls = 0

    def __call__(self, path: str, sent: JsonObject) -> tuple[int, object]:
        self.calls += 1
        answer: object = {"part_class": "resistor"}
        if self.right:
            answer = catalogue_answer(cast(Any, sent["messages"]))
        return 200, completion(json.dumps(answer))


@dataclass
class Stand:
    """One pull request on GitHub, and the account that its checks ask."""

    folder: Path
    remote: Path
    aws: LocalAws
    issuer: Issuer
    model: Model
    environment: dict[str, str]
    variables: dict[str, str] = field(default_factory=dict)
    source: str = REPOSITORY

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    @property
    def context(self) -> dict[str, Any]:
        """What GitHub tells a workflow of a pull request."""
        return {
            "github": {
                "event_name": "pull_request",
                "workflow": "pull request",
                "ref": MERGE,
                "repository": REPOSITORY,
                "run_id": "11",
                "run_attempt": "1",
                "token": "a token of one job",
                "event": {
                    "pull_request": {"number": 7, "head": {"repo": {"full_name": self.source}}}
                },
            },
            "vars": self.variables,
        }

    def job(self, name: str, folder: Path | None = None) -> Job:
        """A job of the workflow, not yet run."""
        return Job(
            name=name,
            definition=WORKFLOW["jobs"][name],
            folder=folder or self.checkout,
            environment=dict(self.environment),
            context=self.context,
            actions={action: partial(stand_in, self) for action, stand_in in ACTIONS.items()},
            changed=TIERS,
        )

    def evaluate(self) -> Job:
        """Run the job that evaluates, on a machine without anything of an earlier run."""
        for left in (".prompt-hub", ".local/comment"):
            shutil.rmtree(self.checkout / left, ignore_errors=True)
        shutil.rmtree(self.folder / "artifacts" / "comment-prompts", ignore_errors=True)
        (self.checkout / ".local" / "evaluated").unlink(missing_ok=True)
        job = self.job("evaluate")
        job.summary.unlink(missing_ok=True)
        job.run()
        return job

    def client(self, service: str) -> Any:
        """The account's own client."""
        return boto3.client(
            service,
            endpoint_url=self.aws.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=SECRET,
        )

    def stored(self) -> list[str]:
        """Every key in the results bucket."""
        bucket = self.variables["PROMPT_HUB_RESULTS_BUCKET"]
        found = self.client("s3").list_objects_v2(Bucket=bucket)
        return [item["Key"] for item in found.get("Contents", ())]


@contextmanager
def instead(path: Path, text: str) -> Iterator[None]:
    """Let a file hold something else for a while."""
    before = path.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")


def git(*words: str, cwd: Path) -> str:
    author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    done = subprocess.run(
        ["git", *author, *words], cwd=cwd, capture_output=True, text=True, check=True
    )
    return done.stdout


# --- What stands in for an action ----------------------------------------------------------------


def check_out(stand: Stand, job: Job, inputs: Mapping[str, str]) -> None:
    assert inputs["persist-credentials"] == "False", "no token is left for later steps"
    if job.folder.exists():
        return
    job.folder.mkdir()
    git("init", "--quiet", cwd=job.folder)
    depth = f"--depth={inputs.get('fetch-depth', '1')}"
    git("fetch", "--quiet", depth, f"file://{stand.remote}", MERGE, cwd=job.folder)
    git("checkout", "--quiet", "FETCH_HEAD", cwd=job.folder)


def deepen(stand: Stand, job: Job, inputs: Mapping[str, str]) -> None:
    """All jobs share a folder: the first may have fetched less than this one asks for."""
    check_out(stand, job, inputs)
    depth = f"--depth={inputs.get('fetch-depth', '1')}"
    git("fetch", "--quiet", depth, f"file://{stand.remote}", MERGE, cwd=job.folder)


def configure(stand: Stand, job: Job, inputs: Mapping[str, str]) -> None:
    """GitHub gives the job a token, if it may have one; AWS gives credentials for it."""
    assert job.definition["permissions"]["id-token"] == "write"
    session = boto3.client(
        "sts",
        endpoint_url=stand.aws.endpoint,
        region_name=inputs["aws-region"],
        config=Config(signature_version=UNSIGNED),
    ).assume_role_with_web_identity(
        RoleArn=inputs["role-to-assume"],
        RoleSessionName=inputs["role-session-name"],
        WebIdentityToken=stand.issuer.token(repository=REPOSITORY, ref=MERGE),
    )
    keys = session["Credentials"]
    job.environment |= {
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "AWS_REGION": inputs["aws-region"],
        "AWS_DEFAULT_REGION": inputs["aws-region"],
    }


def upload(stand: Stand, job: Job, inputs: Mapping[str, str]) -> None:
    target = stand.folder / "artifacts" / inputs["name"]
    shutil.copytree(job.folder / inputs["path"], target, dirs_exist_ok=True)


def download(stand: Stand, job: Job, inputs: Mapping[str, str]) -> None:
    assert inputs["merge-multiple"] == "True"
    for artifact in (stand.folder / "artifacts").glob(inputs["pattern"]):
        shutil.copytree(artifact, job.folder / inputs["path"], dirs_exist_ok=True)


def nothing(stand: Stand, job: Job, inputs: Mapping[str, str]) -> None:
    nothing_to_do(job, inputs)


ACTIONS = {
    "actions/checkout": deepen,
    "actions/setup-python": nothing,
    "actions/setup-node": nothing,
    "actions/cache": nothing,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
    "aws-actions/configure-aws-credentials": configure,
}


# --- The pull request ----------------------------------------------------------------------------


def author(remote: Path, work: Path) -> None:
    """A repository whose pull request 7 changes one prompt, and adds a model."""
    for name in git(
        "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).splitlines():
        if (ROOT / name).is_file() and not name.startswith("prompts/"):
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, work / name)
    (work / "prompt_registry.yaml").unlink()
    settings = json.loads((work / "cdk.json").read_text(encoding="utf-8"))
    ours = settings["context"][CONTEXT_KEY]
    ours |= {"repository": REPOSITORY, "region": REGION}
    ours["models"]["keyed"] = KEYED
    # Released on the models of cdk.json: nothing but the change is to be evaluated.
    tree = build(work, ModelAliases(Settings.from_context(ours).models))
    tree.write("cdk.json", json.dumps(settings))
    git("init", "--quiet", "--initial-branch", "main", cwd=work)
    git("add", "--all", cwd=work)
    git("commit", "--quiet", "--message", "base", cwd=work)
    git("checkout", "--quiet", "-b", "change", cwd=work)
    tree.edit("prompts/00-templates/catalogue-role.txt", "You sort", "You put")
    ours["models"]["catalogue-next"] = {"provider": "bedrock", "model": "openai.gpt-oss-240b-1:0"}
    tree.write("cdk.json", json.dumps(settings))
    git("commit", "--quiet", "--all", "--message", "change", cwd=work)
    git("checkout", "--quiet", "main", cwd=work)
    git("merge", "--quiet", "--no-ff", "--no-edit", "change", cwd=work)
    git("clone", "--quiet", "--bare", str(work), str(remote), cwd=work)
    git("update-ref", MERGE, "main", cwd=remote)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("runner")
    (folder / "bin").mkdir()
    (folder / "bin" / "gh").write_bytes(GH.read_bytes())
    (folder / "bin" / "gh").chmod(0o755)
    (folder / "work").mkdir()
    author(folder / "remote.git", folder / "work")
    with issuing() as issuer, serving(model := Model()) as bedrock:
        aws = LocalAws(
            state=folder / "cloud", permissions="enforce", issuers={GITHUB: issuer.address}
        )
        aws.start()
        own = {name: text for name, text in isolated(os.environ).items() if name != "VIRTUAL_ENV"}
        environment = {
            **own,
            "PATH": path_of(folder / "bin"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GH_STAND_IN": str(folder / "comments.json"),
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_BEDROCK_BASE_URL": f"{bedrock}/openai/v1",
        }
        try:
            yield Stand(folder, folder / "remote.git", aws, issuer, model, environment)
        finally:
            aws.stop()


@pytest.fixture(scope="module")
def synthesised(stand: Stand) -> Job:
    job = stand.job("synthesise")
    job.run()
    assert not job.failed, job.output[-4000:]
    return job


@pytest.fixture(scope="module")
def deployed(stand: Stand, synthesised: Job) -> Stand:
    """The account has the role of the workflow, and its variables are those that the stack says."""
    path = stand.checkout / ".local/after/prompt-hub-github-oidc.template.json"
    template = json.loads(path.read_text(encoding="utf-8"))
    for part in ("Rules", "Parameters"):
        template.pop(part, None)
    stacks = stand.client("cloudformation")
    stacks.create_stack(
        StackName="oidc",
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stacks.get_waiter("stack_create_complete").wait(
        StackName="oidc", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    outputs = stacks.describe_stacks(StackName="oidc")["Stacks"][0]["Outputs"]
    found = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    stand.variables = {
        "PROMPT_HUB_PULL_REQUEST_ROLE": found["RoleArn"],
        "PROMPT_HUB_REGION": found["Region"],
        "PROMPT_HUB_RESULTS_BUCKET": found["ResultsBucket"],
    }
    stand.client("s3").create_bucket(Bucket=found["ResultsBucket"])
    return stand


def test_every_action_has_a_stand_in_and_every_other_step_runs() -> None:
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    used = {step["uses"].partition("@")[0] for step in steps if "uses" in step}
    assert used == set(ACTIONS)
    names = [step["name"] for step in steps if "run" in step]
    assert set(TIERS) <= set(names)


def test_it_is_validated_linted_and_its_tiers_are_there(stand: Stand) -> None:
    job = stand.job("check")
    job.run()
    assert not job.failed, job.output[-4000:]
    assert "2 tasks, " in job.output
    assert ": all valid" in job.output
    assert "ruff format --check" in job.output
    assert "mypy pipeline_image/prompt_hub" in job.output
    assert "tests/unit tests/lambdas" in job.output


def test_what_it_may_do_more_than_before_is_said(stand: Stand, synthesised: Job) -> None:
    said = synthesised.summary.read_text(encoding="utf-8")
    assert said.startswith("## Permissions\n")
    grown = [line for line in said.splitlines() if line.startswith("+ ")]
    assert any("prompt-hub-pull-requests" in line and "gpt-oss-240b" in line for line in grown)
    assert "::warning title=permissions::This changes " in synthesised.output


def test_it_is_evaluated_by_a_role_that_reads_verdicts_and_writes_none(deployed: Stand) -> None:
    stand = deployed
    stand.model.right = False
    wrong = stand.evaluate()
    assert wrong.failed, "as red as the pipeline would be"
    said = wrong.summary.read_text(encoding="utf-8")
    assert "### ❌ part-class 1.2.0: BLOCK" in said
    assert stand.stored() == []

    stand.model.right, before = True, stand.model.calls
    first = stand.evaluate()
    assert not first.failed, first.output[-4000:]
    said = first.summary.read_text(encoding="utf-8")
    assert "1 task changed. Cost of the model calls: $" in said
    assert "### ✅ part-class 1.2.0: PASS" in said
    assert "- power: with these 6 examples" in said
    assert "You [-classify-]{+put+} electronic parts{+ into classes+} for a catalogue." in said
    assert stand.model.calls > before
    assert stand.stored() == []

    # What the pipeline's own evaluation would have left.
    kept = stand.checkout / ".prompt-hub/results"
    for path in (kept / "verdicts").iterdir():
        stand.client("s3").put_object(
            Bucket=stand.variables["PROMPT_HUB_RESULTS_BUCKET"],
            Key=path.relative_to(kept).as_posix(),
            Body=path.read_bytes(),
        )
    stored, calls = stand.stored(), stand.model.calls
    again = stand.evaluate()
    assert not again.failed, again.output[-4000:]
    said = again.summary.read_text(encoding="utf-8")
    assert "$0.00; 1 verdict remembered, without a call." in said
    assert "### ✅ part-class 1.2.0: PASS" in said
    assert (stand.stored(), stand.model.calls) == (stored, calls)


def test_it_reads_no_providers_key_and_says_what_it_could_not_measure(deployed: Stand) -> None:
    """The job runs what a branch holds, and whoever may push one could take the key away."""
    stand = deployed
    path = stand.checkout / "cdk.json"
    stand.client("secretsmanager").create_secret(Name=KEYED["secret"], SecretString="of a test")
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["context"][CONTEXT_KEY]["models"]["catalogue-pinned"] = KEYED
    with instead(path, json.dumps(settings)):
        refused = stand.evaluate()
    assert refused.failed
    said = refused.summary.read_text(encoding="utf-8")
    assert "### ⚠️ part-class 1.2.0: NOT MEASURED" in said
    why = "cannot be read from the secret 'prompt-hub/openai': AccessDeniedException"
    assert why in refused.output, refused.output[-4000:]


def test_an_evaluation_that_breaks_off_is_said_in_the_comment(deployed: Stand) -> None:
    path = deployed.checkout / "prompts" / "03-metadata" / "brand.yaml"
    with instead(path, "task: [\n"):
        broken = deployed.evaluate()
    assert broken.failed
    said = broken.summary.read_text(encoding="utf-8")
    assert "The evaluation broke off" in said
    assert "none has changed" not in said


@pytest.mark.skipif(shutil.which("jq") is None, reason="the stand-in for gh asks jq")
def test_there_is_one_comment_and_a_later_run_writes_it_anew(deployed: Stand) -> None:
    comments = deployed.folder / "comments.json"
    comments.write_text(
        json.dumps([{"id": 1, "user": {"login": "ann"}, "body": "<!-- prompt-hub -->"}])
    )
    deployed.evaluate()
    for number in (1, 2):
        folder = deployed.folder / f"comment-{number}"
        folder.mkdir()
        job = deployed.job("comment", folder)
        job.run()
        assert not job.failed, job.output
        theirs, ours = json.loads(comments.read_text(encoding="utf-8"))
        assert theirs["body"] == "<!-- prompt-hub -->"
        assert ours["body"].startswith("<!-- prompt-hub -->\n## Prompts\n")
        assert "part-class 1.2.0: PASS" in ours["body"]
        assert "## Permissions" in ours["body"]


def test_a_part_of_the_comment_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (script,) = [step["run"] for step in WORKFLOW["jobs"]["comment"]["steps"] if "run" in step]
    parts = tmp_path / "parts"
    parts.mkdir()
    (parts / "1-prompts.md").write_text("## Prompts\n", encoding="utf-8")
    (parts / "2-permissions.md").write_text("## Permissions\n", encoding="utf-8")
    (tmp_path / "secret").write_text("a token\n", encoding="utf-8")
    (parts / "3.md").symlink_to(tmp_path / "secret")
    written = next(line for line in script.splitlines() if line.endswith("> comment.md"))
    subprocess.run(["bash", "-e", "-c", written], cwd=tmp_path, check=True)
    assert (tmp_path / "comment.md").read_text(encoding="utf-8") == (
        "<!-- prompt-hub -->\n## Prompts\n## Permissions\n"
    )


def test_a_fork_has_no_token_and_is_told_so(stand: Stand) -> None:
    fork = Stand(**{**vars(stand), "source": "somebody/fork"})
    job = fork.evaluate()
    assert not job.failed
    assert job.ran == ["actions/checkout", "Who may evaluate", "actions/upload-artifact"]
    assert job.summary.read_text(encoding="utf-8") == (
        "## Prompts\n\nNothing was evaluated: a pull request from a fork gets no token for AWS, so"
        " a maintainer has to push its branch to this repository.\n"
    )
    comment = fork.job("comment")
    assert not comment.wanted(comment.definition)


def test_without_a_role_nothing_is_evaluated_and_it_is_said(stand: Stand) -> None:
    job = Stand(**{**vars(stand), "variables": {}}).evaluate()
    assert not job.failed
    assert "no variable PROMPT_HUB_PULL_REQUEST_ROLE names a role" in job.output
    assert job.ran == ["actions/checkout", "Who may evaluate", "actions/upload-artifact"]
