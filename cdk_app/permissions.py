"""Every permission that our own code needs, said once; a wildcard carries its reason along.

Those of files of records are in `cdk_app.records_permissions`, those of people on call in
`cdk_app.on_call_permissions`.

Resources are named, not referenced: names come from `prompt_hub.core.aws_names`, so that no
stack exports anything to another and a release never waits for an export that is in use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aws_cdk import aws_iam as iam
from constructs import Construct

from cdk_app import arns
from prompt_hub.core import aws_names
from prompt_hub.llm.config import ModelConfig
from prompt_hub.llm.providers.registry import provider_of


@dataclass(frozen=True, kw_only=True)
class Permission:
    """One IAM statement and, if it holds a wildcard, why it cannot be narrower."""

    actions: Sequence[str]
    resources: Sequence[str]
    conditions: Mapping[str, object] | None = None
    denied: bool = False
    wildcard: str = ""

    def statement(self) -> iam.PolicyStatement:
        """Return the statement; every object of CDK's has one owner."""
        return iam.PolicyStatement(
            effect=iam.Effect.DENY if self.denied else iam.Effect.ALLOW,
            actions=list(self.actions),
            resources=list(self.resources),
            conditions=self.conditions,
        )


def allow(
    actions: list[str],
    resources: list[str],
    *,
    wildcard: str = "",
    conditions: dict[str, object] | None = None,
) -> Permission:
    """Return one permission."""
    return Permission(
        actions=actions, resources=resources, conditions=conditions, wildcard=wildcard
    )


# --- Stages elsewhere --------------------------------------------------------------------------


def assume(roles: Iterable[str]) -> tuple[Permission, ...]:
    """Act as each of these roles, of stages in other accounts or regions."""
    return (allow(["sts:AssumeRole"], list(roles)),)


# --- Results bucket ----------------------------------------------------------------------------

EXAMPLE_SETS = aws_names.examples_key("*")
"""Keys of the example sets that are too large for git."""


def read_results(scope: Construct, *patterns: str) -> tuple[Permission, ...]:
    """Read objects whose keys match `patterns`, and learn that one is not there."""
    return (
        allow(
            ["s3:GetObject"],
            [arns.results(scope, pattern) for pattern in patterns],
            wildcard="Keys hold execution ids, digests and releases, unknown at synth.",
        ),
        # Without it S3 answers "access denied" where a key does not exist; it takes no condition
        # on a prefix, because reading an object sends none.
        allow(["s3:ListBucket"], [arns.results_bucket(scope)]),
    )


def read_example_sets(scope: Construct, *, bucket: str | None = None) -> tuple[Permission, ...]:
    """Read example sets that are too large for git; `bucket` where they lie elsewhere."""
    return (
        allow(
            ["s3:GetObject"],
            [arns.results(scope, EXAMPLE_SETS, bucket=bucket)],
            wildcard="A set is named by its hash, which changes without a deployment.",
        ),
    )


def write_results(
    scope: Construct, *patterns: str, bucket: str | None = None
) -> tuple[Permission, ...]:
    """Write objects whose keys match `patterns`; `bucket` where they lie in another account."""
    return (
        allow(
            ["s3:PutObject"],
            [arns.results(scope, pattern, bucket=bucket) for pattern in patterns],
            wildcard="Keys hold execution ids, digests and releases, unknown at synth.",
        ),
    )


def watch_results(stage: str) -> tuple[str, ...]:
    """Return the keys that the score watch of `stage` and its drill write."""
    return (aws_names.sample_key(stage, "*", "*"), aws_names.drill_key("*", stage))


def smoke_results(stage: str) -> tuple[str, ...]:
    """Return the keys that the smoke test of `stage` writes."""
    return (aws_names.smoke_key("*", stage),)


# --- Models ------------------------------------------------------------------------------------


def call_models(scope: Construct, models: Iterable[ModelConfig]) -> tuple[Permission, ...]:
    """Call exactly the configured models, by what each one's provider says that it takes."""
    # Like needs are one statement.
    found: dict[tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]], set[str]] = {}
    wildcards: dict[object, str] = {}
    for model in models:
        for statement in provider_of(model.provider).iam_statements(model):
            kind = statement.actions, statement.conditions
            found.setdefault(kind, set()).update(
                arns.in_stack(scope, resource) for resource in statement.resources
            )
            if statement.wildcard:
                wildcards[kind] = statement.wildcard
    return tuple(
        allow(
            list(actions),
            sorted(resources),
            wildcard=wildcards.get((actions, conditions), ""),
            conditions=_in_stack(scope, conditions),
        )
        for (actions, conditions), resources in sorted(found.items())
    )


def _in_stack(
    scope: Construct, conditions: Iterable[tuple[str, str, str]]
) -> dict[str, object] | None:
    found: dict[str, dict[str, str]] = {}
    for operator, key, value in conditions:
        found.setdefault(operator, {})[key] = arns.in_stack(scope, value)
    return dict(found) or None


# --- Ledger ------------------------------------------------------------------------------------


def read_ledger(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Read what is live."""
    return (allow(["dynamodb:GetItem", "dynamodb:Query"], [arns.ledger(scope, stage)]),)


_POINTERS = (aws_names.LEDGER_HEAD, aws_names.LEDGER_ACTIVE)
"""What every move of a pointer writes, beside the partition of its task."""
_TASKS = f"{aws_names.LEDGER_TASKS}*"
_CHANGES = ("dynamodb:PutItem", "dynamodb:ConditionCheckItem")
"""A transaction asks for each of its writes and checks, once for each of these."""


def add_samples(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Add score samples, and write nothing else: no pointer, no state of a version, no history."""
    return _write(scope, stage, ["dynamodb:PutItem"], [f"{aws_names.LEDGER_SCORES}*"])


def roll_back(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Move pointers and tell people of it: no sample, not what is deployed."""
    return _change_ledger(scope, stage, _TASKS, aws_names.LEDGER_OUTBOX)


def activate(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Move pointers and note what is deployed: no sample, nothing that says who was told."""
    return _change_ledger(scope, stage, _TASKS, aws_names.LEDGER_RELEASE)


def decide(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Move pointers as a person does: no sample, not what is deployed, nothing of who was told."""
    return _change_ledger(scope, stage, _TASKS)


def drill(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Move the pointer of the drill's own task: no history of another."""
    return _change_ledger(scope, stage, aws_names.LEDGER_TASKS + aws_names.DRILL_TASK)


def _change_ledger(scope: Construct, stage: str, *partitions: str) -> tuple[Permission, ...]:
    """Read the ledger, and change it by transactions of conditional writes."""
    changed = _write(scope, stage, list(_CHANGES), [*_POINTERS, *partitions])
    return (*read_ledger(scope, stage), *changed)


def _write(
    scope: Construct, stage: str, actions: list[str], partitions: list[str]
) -> tuple[Permission, ...]:
    """Write into these partitions; reading has no condition, for everybody reads everything."""
    return (
        allow(
            actions,
            [arns.ledger(scope, stage)],
            conditions={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": partitions}},
        ),
    )


# --- Monitoring --------------------------------------------------------------------------------


def publish_metrics(namespace: str) -> tuple[Permission, ...]:
    """Publish into one of our metric namespaces: that of the scores, or that of the service."""
    return (
        allow(
            ["cloudwatch:PutMetricData"],
            ["*"],
            wildcard="PutMetricData knows no resources; a condition holds it to one namespace.",
            conditions={"StringEquals": {"cloudwatch:namespace": namespace}},
        ),
    )


def ask_for_rollback(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Ask the stage's rollback Lambda, and no other function, to look at a task."""
    return (allow(["lambda:InvokeFunction"], [arns.rollback_function(scope, stage)]),)


def read_alarms(scope: Construct) -> tuple[Permission, ...]:
    """Ask for the state of alarms."""
    return (
        allow(
            ["cloudwatch:DescribeAlarms"],
            [arns.alarm(scope, "*")],
            wildcard="Alarms are looked up by the beginning of their names, which IAM can only"
            " grant for all alarms of the account and region. Read only.",
        ),
    )


def read_metrics() -> tuple[Permission, ...]:
    """Read how many calls a version answered, and how many of them broke its contract."""
    return (
        allow(
            ["cloudwatch:GetMetricData"],
            ["*"],
            wildcard="GetMetricData knows no resources for metrics like ours, and no namespaces."
            " Read only, and metrics are numbers.",
        ),
    )


def announce_rollbacks(scope: Construct) -> tuple[Permission, ...]:
    """Emit the events by which a rollback finds its way into git, and the watch its next task."""
    return (
        allow(
            ["events:PutEvents"],
            [arns.default_event_bus(scope)],
            conditions={"StringEquals": {"events:source": aws_names.event_source()}},
        ),
    )


def trace() -> tuple[Permission, ...]:
    """Send X-Ray traces."""
    return (
        allow(
            ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
            ["*"],
            wildcard="X-Ray knows no resources.",
        ),
    )


# --- People ------------------------------------------------------------------------------------


def tell_of_the_pipeline(scope: Construct) -> tuple[Permission, ...]:
    """Publish to the pipeline's own topic."""
    return (allow(["sns:Publish"], [arns.pipeline_topic(scope)]),)


# --- The service's own task definition ---------------------------------------------------------


def see_service(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """See which task definition the service runs, and in which network."""
    return (allow(["ecs:DescribeServices"], [arns.service(scope, stage)]),)


def start_watch(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Start the score watch, or the drill, which measures as the watch does."""
    return run_as(aws_names.watch_role(stage), scope, stage)


def start_smoke_test(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Start the smoke test."""
    return run_as(aws_names.smoke_role(stage), scope, stage)


def run_as(role: str, scope: Construct, stage: str) -> tuple[Permission, ...]:
    """Start the service's own task definition, in its own cluster, as this role and no other."""
    return (
        allow(
            ["ecs:RunTask"],
            [arns.task_definition(scope, stage, "*")],
            wildcard="Each release registers the next revision of the task definition.",
            conditions={"ArnEquals": {"ecs:cluster": arns.cluster(scope, stage)}},
        ),
        allow(
            ["ecs:TagResource"],
            [arns.task(scope, stage, "*")],
            wildcard="A task gets the tags of its definition, and its id, when it starts.",
            conditions={"StringEquals": {"ecs:CreateAction": "RunTask"}},
        ),
        allow(
            ["iam:PassRole"],
            [arns.role(scope, role), arns.execution_role(scope, stage)],
            conditions={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
        ),
    )


def read_running_image(_scope: Construct, _stage: str) -> tuple[Permission, ...]:
    """See which image a task definition names; the service says which definition it runs."""
    return (
        allow(
            ["ecs:DescribeTaskDefinition"],
            ["*"],
            wildcard="DescribeTaskDefinition knows no resources. Read only, and no definition of"
            " ours holds a secret.",
        ),
    )


def wait_for_tasks(scope: Construct, stage: str) -> tuple[Permission, ...]:
    """See whether a started task has ended, and how."""
    return (
        allow(
            ["ecs:DescribeTasks"],
            [arns.task(scope, stage, "*")],
            wildcard="The id of a task is made when it starts.",
        ),
    )


# --- Image -------------------------------------------------------------------------------------


def push_image(scope: Construct) -> tuple[Permission, ...]:
    """Push to our one image repository, and see whether a tag is there already."""
    actions = [
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "CompleteLayerUpload",
        "GetDownloadUrlForLayer",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
    ]
    return (
        allow([f"ecr:{name}" for name in actions], [arns.image_repository(scope)]),
        allow(
            ["ecr:GetAuthorizationToken"],
            ["*"],
            wildcard="A login belongs to the registry; it knows no resources.",
        ),
    )


# --- Git ---------------------------------------------------------------------------------------

_CONNECTION_PREFIXES = ("codestar-connections", "codeconnections")
"""The service was renamed; which of the two prefixes is asked for depends on the caller."""
_GIT_WRITES = (
    "CreateBranch",
    "CreateCommit",
    "CreateCommitStatus",
    "CreatePullRequest",
    "CreatePullRequestComment",
    "CreatePullRequestDiffComment",
    "CreateRepository",
    "DeleteRepository",
    "GitPush",
    "UpdatePullRequest",
)
"""What writes, of all that a connection can be asked for ("Permissions and examples for AWS
CodeConnections", November 2026).

A clone is `GitPull` there. No page says whether that needs `read_only` or `read_write`, so a denial
by `ProviderPermissionsRequired` might refuse every source.
"""


def use_connection(connection_arn: str) -> tuple[Permission, ...]:
    """Use the connection to the repository, for reading and, where nothing denies it, writing."""
    actions = [f"{prefix}:UseConnection" for prefix in _CONNECTION_PREFIXES]
    return (allow(actions, [connection_arn]),)


def read_source(connection_arn: str) -> tuple[Permission, ...]:
    """Let a role clone the source, and never write to it."""
    return (*use_connection(connection_arn), *deny_git_writes(connection_arn))


def deny_git_writes(connection_arn: str) -> tuple[Permission, ...]:
    """Take writing out of what CDK Pipelines grants to every action that reads the source."""
    return tuple(
        Permission(
            actions=[f"{prefix}:UseConnection" for prefix in _CONNECTION_PREFIXES],
            resources=[connection_arn],
            conditions={"StringEquals": {f"{prefix}:ProviderAction": list(_GIT_WRITES)}},
            denied=True,
        )
        for prefix in _CONNECTION_PREFIXES
    )
