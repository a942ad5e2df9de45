"""Every name that CDK, the Lambda and the runtime must agree on, said once.

Standard library only: the rollback Lambda carries this module and nothing heavier.

Longer than a file should be: a name that stood elsewhere could be made without the installation's.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from prompt_hub.core.errors import PromptHubError

# --- The installation --------------------------------------------------------------------------

INSTALLATION = "prompt-hub"
"""What an installation is called that says nothing else."""
INSTALLATION_NAME = rf"{INSTALLATION}|(?!(?:prompt|aws|cdk|sthree)$)[a-z][a-z0-9]{{1,15}}"
"""What an installation may be called.

All of its names begin with its own and a hyphen, and so do the patterns of what it may use. Without
a hyphen in it, and none called `prompt` beside `prompt-hub`, no installation's pattern matches
another's names. AWS and the CDK keep the other three for themselves; the results bucket, with
account and region in its name, has room for the length.
"""
ENV_INSTALLATION = "PROMPT_HUB_INSTALLATION"
"""Name of the installation that a process belongs to; CDK sets it for all that run on AWS."""
CONTEXT_FILE = "cdk.json"
CONTEXT_KEY = "prompt-hub"


def installation(root: str | Path | None = None) -> str:
    """Name of the installation: of the environment, or else of the `cdk.json` of the folder.

    That is `root`, or what the environment names.
    """
    return os.environ.get(ENV_INSTALLATION) or _installation_of_checkout(root)


def _installation_of_checkout(root: str | Path | None) -> str:
    match _settings_of_checkout("what the installation is called", ENV_INSTALLATION, root):
        case {"installation": str(name)}:
            return name
    return INSTALLATION


def restored_ledger(stage: str, root: str | Path | None = None) -> str | None:
    """Name of the table that the ledger of `stage` was restored as, by the folder's `cdk.json`."""
    match _settings_of_checkout("which table a ledger was restored as", ENV_LEDGER_TABLES, root):
        case {"stages": [*stages]}:
            for each in stages:
                match each:
                    case {"name": str(name), "ledger_table": str(table)} if name == stage:
                        return table
    return None


def _settings_of_checkout(what: str, variable: str, root: str | Path | None = None) -> object:
    """Read our part of `cdk.json`, None without one; `what` it says, `variable` says, too."""
    path = Path(os.environ.get(ENV_ROOT, ".") if root is None else root, CONTEXT_FILE)
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise PromptHubError(
            f"{path} cannot be read: {error}; it says {what}.",
            hint=f"Mend the file, or set {variable}.",
        ) from None
    match content:
        case {"context": {"prompt-hub": settings}}:
            return settings
    return None


def named(*words: str) -> str:
    """Name of something of this installation: `words`, behind the installation's own name."""
    return "-".join((installation(), *words))


def log_group(*words: str) -> str:
    """Name of a log group of this installation."""
    return "/".join(("", installation(), *words))


DRILL_TASK = "prompt-hub-drill"
"""The task of the rollback drill, and the alias of its model: no task of a user's is called so."""

# --- Who decides -------------------------------------------------------------------------------

AUTOMATION = frozenset({"pipeline", "rollback", "drill"})
"""Authors in ledgers and git that are no person; in git the stage follows in brackets."""


def is_automation(name: str) -> bool:
    """Whether a name begins with one of `AUTOMATION`: what a rollback decided is told by its name.

    >>> [is_automation(name) for name in ("rollback (dev)", "Pipeline", "Ann Gitta Drillich")]
    [True, True, False]
    """
    words = re.findall(r"\w+", name)
    return bool(words) and words[0].lower() in AUTOMATION


def person(name: str) -> str:
    """Return the name of a person; raises `ValueError` for that of an automation."""
    if is_automation(name):
        raise ValueError(f"{name!r} is what the automation is called")
    return name


# --- CloudWatch --------------------------------------------------------------------------------


def metric_namespace() -> str:
    """Namespace of what the score watch publishes: `PromptHub`, for the installation's name."""
    return "".join(map(str.capitalize, installation().split("-")))


def service_namespace() -> str:
    """Namespace of what the service counts.

    IAM tells metrics apart by nothing else, and the service may publish no score.
    """
    return f"{metric_namespace()}/Service"


def calls_namespace() -> str:
    """Namespace of what CloudWatch reads out of the execution log, from members of each line."""
    return f"{metric_namespace()}/Calls"


def rollback_namespace() -> str:
    """Namespace of what CloudWatch reads out of the log of the rollback Lambda."""
    return f"{metric_namespace()}/Rollback"


CALL_DIMENSIONS = ("stage", "task", "version")
CALL_TASK_DIMENSIONS = ("stage", "task")
"""Of contract failures alone, whatever version it is: alarms cannot look for versions."""
CALL_SECONDS = "seconds"
"""How long a call took; there are as many calls as it has samples."""
CALL_CONTRACT_FAILED = "contract_failed"
"""1 where the prompt's own contract broke, else 0."""
CONTRACT_WINDOW_MINUTES = 15
"""How long the calls are looked at together that a contract alarm fires on."""
LEAST_BROKEN = 5
"""Fewer broken contracts say nothing, whatever part of the calls they are."""
BROKEN_PERCENT = 5
"""Percent of the calls that may break their contract before somebody has to look."""
CALL_INPUT_TOKENS = "gen_ai.usage.input_tokens"
CALL_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CALL_USD = "usd"
CALLS_REFUSED = "refused"
"""Calls that were sent away because the service had enough in hand (429), by `stage`."""
CALLS_OVER_QUOTA = "over_quota"
"""Calls that were sent away because their caller's quota was used up (429), by `stage`."""
VERSION_MOVED = "moved"
"""1 where an instance of the service goes from one version to another, by `stage` and `task`."""
ROLLBACK_DECIDED = "decided"
"""Decisions of the rollback Lambda that change something or call people, by `stage` and `action`.
"""
METRIC_SCORE = "Score"
METRIC_THRESHOLD = "Threshold"
METRIC_SCORE_MARGIN = "ScoreMargin"
METRIC_HEARTBEAT = "WatchHeartbeat"
"""Counts what the score watch did for a task: a score, or nothing, because there was no cause.

The sweep counts 0 for a task of which a version is active: one is due."""
METRIC_ROUNDS_REFUSED = "RoundsRefused"
"""Counts rounds that a task's day had no model calls left for, by task and by stage."""
DIMENSION_STAGE = "Stage"
DIMENSION_TASK = "Task"
DIMENSION_VERSION = "Version"


@dataclass(frozen=True)
class ServiceAlarm:
    """An alarm on what the service counts about itself: three bad minutes in a row tell people."""

    metric: str
    """Name of the metric; the service counts it once or more in each minute in which it is so."""
    name: str
    """What the alarm's name ends with, after the service's."""
    meaning: str
    """What it means, for people."""


POINTER_REFUSED = ServiceAlarm(
    "PointerRefused",
    "pointer-refused",
    "The ledger points to a version that the running image does not carry.",
)
SNAPSHOT_SERVED = ServiceAlarm(
    "SnapshotServed",
    "snapshot-served",
    "A service started without a ledger and answers with what its image says.",
)
LEDGER_UNREACHABLE = ServiceAlarm(
    "LedgerUnreachable",
    "ledger-unreachable",
    "A service cannot follow the ledger: no activation or rollback reaches it.",
)
SERVICE_ALARMS = (POINTER_REFUSED, SNAPSHOT_SERVED, LEDGER_UNREACHABLE)
"""Every alarm on a metric of the service's own; CDK makes one for each."""

# --- Environment variables ---------------------------------------------------------------------

ENV_ROOT = "PROMPT_HUB_ROOT"
"""Folder that holds `prompts/` and `prompt_registry.yaml`; the working directory by default."""
ENV_STAGE = "PROMPT_HUB_STAGE"
ENV_STAGES = "PROMPT_HUB_STAGES"
"""Every stage that a release may reach, separated by commas."""
ENV_EARLIER_STAGES = "PROMPT_HUB_EARLIER_STAGES"
"""The stages that a release passes before this one, in order, separated by commas."""
ENV_LEDGER_TABLE = "PROMPT_HUB_LEDGER_TABLE"
ENV_LEDGER_TABLES = "PROMPT_HUB_LEDGER_TABLES"
"""Tables of stages whose ledger was restored under another name: `dev=NAME,prod=NAME`."""
ENV_RESULTS_BUCKET = "PROMPT_HUB_RESULTS_BUCKET"
ENV_RESULTS_REGION = "PROMPT_HUB_RESULTS_REGION"
"""Where the results bucket is; unset where it is in the region of whoever uses it."""
ENV_RECORDS_BUCKET = "PROMPT_HUB_RECORDS_BUCKET"
"""Where files of records are dropped and their answers appear, in one stage."""
ENV_RELEASE = "PROMPT_HUB_RELEASE"
"""The release id: the id of the pipeline execution that built the image."""
ENV_EXECUTION = "PROMPT_HUB_EXECUTION"
"""The pipeline execution that a build action belongs to."""
ENV_TASK = "PROMPT_HUB_TASK"
ENV_MODELS = "PROMPT_HUB_MODELS"
"""JSON text, or the path of a JSON file: model alias → provider, model, endpoint."""
ENV_POLL_SECONDS = "PROMPT_HUB_POLL_SECONDS"
POLL_SECONDS = 5.0
"""Seconds between two looks at the ledger, where nothing else is set."""
ENV_MAX_CALLS = "PROMPT_HUB_MAX_CALLS"
ENV_WORKERS = "PROMPT_HUB_WORKERS"
ENV_CALLERS = "PROMPT_HUB_CALLERS"
"""JSON text: how callers are told apart, and their quotas; unset where they are not."""
OWN_PORT = 8443
"""The balancer's port for containers of the stage itself, where callers need a token."""
ENV_HOST = "PROMPT_HUB_HOST"
ENV_PORT = "PROMPT_HUB_PORT"
ENV_SERVICE_URL = "PROMPT_HUB_SERVICE_URL"
ENV_TOKEN = "PROMPT_HUB_TOKEN"  # noqa: S105  (a name)
"""Who asks the service, as a token of the issuer that its stage names."""
ENV_TOPIC_ARN = "PROMPT_HUB_TOPIC_ARN"
ENV_REPOSITORY_URI = "PROMPT_HUB_REPOSITORY_URI"
ENV_BRANCH = "PROMPT_HUB_BRANCH"
ENV_PROMOTION_BRANCH = "PROMPT_HUB_PROMOTION_BRANCH"
"""Where promotion waits for people to merge it; unset where it writes into the branch itself."""
ENV_LOG = "PROMPT_HUB_LOG"
"""How much commands and the service log: a level, `json`, or both."""

# --- Toolchain ---------------------------------------------------------------------------------

PROMOTION_BRANCH = "prompt-hub/promotion"
"""The bot's own branch, where promotion goes by pull request."""
EVENT_ROLLED_BACK = "PromptRolledBack"
EVENT_COMPARE = "PromptToCompare"
"""By it the rollback Lambda asks the score watch to measure a task beside its way back, now."""
EVENT_SOURCE_WATCH = "prompt-hub.watch"
"""Source of the event by which the score watch asks the rollback Lambda to look at a task.

It goes to the Lambda itself and over no bus: all installations may call it the same.
"""
WINDOWS_FILE = "windows.json"
"""Beside the Lambda's handler, by task: how many bad samples, of how many, are a breach, and the
minutes between two samples."""


def pipeline() -> str:
    """Name of the pipeline."""
    return installation()


def pipeline_stack() -> str:
    """Name of the stack of the pipeline, which brings those of the toolchain along."""
    return named("pipeline")


def source_stack() -> str:
    """Name of the stack of the connection to the repository."""
    return named("source")


def pipeline_topic() -> str:
    """Name of the SNS topic that tells people of the pipeline: blocks, red ends, approvals."""
    return named("failures")


def image_repository() -> str:
    """Name of the ECR repository of images."""
    return installation()


def build_project(*words: str) -> str:
    """Name of the CodeBuild project of one action of the pipeline."""
    return named("build", *words)


def evaluation_project() -> str:
    """Name of the CodeBuild project that evaluates."""
    return named("evaluation")


def event_source() -> str:
    """EventBridge source of the event from which a rollback is written back into git."""
    return f"{installation()}.rollback"


def results_bucket(account: str, region: str) -> str:
    """Name of the bucket of evaluation records, verdicts, releases and watch samples."""
    return named("results", account, region)


def may_be_results_bucket(name: str) -> bool:
    """Whether a bucket may be this installation's for results, as far as is known here.

    The environment says which one it is; or `cdk.json` of this folder its region, and often its
    account.
    """
    if bucket := os.environ.get(ENV_RESULTS_BUCKET):
        return name == bucket
    account, region = r"\d{12}", r"[a-z]+(-[a-z0-9]+)+"
    match _settings_of_checkout("where results lie", ENV_RESULTS_BUCKET):
        case {"region": str(said), **rest}:
            region, account = said, str(rest.get("account", account))
    return re.fullmatch(results_bucket(account, region), name) is not None


# --- One stage ---------------------------------------------------------------------------------

STAGE_NAME = r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
"""What a stage may be called; it ends up in names of resources."""
STAGE_LENGTHS = range(2, 17)
"""Characters of that name: those of buckets and roles, which have more in them, may have 63, 64."""


def stage_name(name: str) -> str:
    """Return the name of a stage; raises `ValueError` for what none can be called."""
    if len(name) not in STAGE_LENGTHS or not re.fullmatch(STAGE_NAME, name):
        longest = STAGE_LENGTHS[-1]
        raise ValueError(
            f"{name!r} is no name of a stage: expected {STAGE_LENGTHS[0]} to {longest} lower-case"
            " letters and digits, words joined by hyphens, such as dev"
        )
    return name


def stage_profile(stage: str) -> str:
    """Name of the profile in the configuration of AWS for a stage of another account or region."""
    return named(stage)


def ledger_table(stage: str, of: str = "") -> str:
    """Name of the table that says what is live in `stage`, unless that was restored as another.

    `of` is the installation where it may be another one than this process's.
    """
    return "-".join((of or installation(), stage, "ledger"))


def cluster(stage: str) -> str:
    """Name of the ECS cluster of `stage`."""
    return named(stage)


def service(stage: str) -> str:
    """Name of the ECS service that serves prompts in `stage`; its task family has the same name."""
    return named(stage)


def watch_role(stage: str) -> str:
    """Name of the role that containers of the score watch have, and the drill, which measures."""
    return f"{service(stage)}-watch"


def smoke_role(stage: str) -> str:
    """Name of the role that the container of the smoke test has."""
    return f"{service(stage)}-smoke"


def on_call_role(stage: str) -> str:
    """Name of the role that people on call for `stage` have."""
    return f"{service(stage)}-on-call"


CONTAINER = "service"
"""Name of the container in the task definition; the score watch overrides its command."""
CONTAINER_PORT = 8080

# Seconds, each longer than the one above it: the model gives up before the balancer does, and the
# balancer leaves a connection before the service closes it (the other way round, calls that come
# just then end as 502).
LONGEST_CALL_SECONDS = 60
"""What metadata may allow for one call."""
DRAIN_SECONDS = 65
"""What a container that is to stop leaves calls in flight; ECS must kill later than that."""
BALANCER_IDLE_SECONDS = 75
"""How long the balancer keeps a connection on which nothing is said."""
KEEP_ALIVE_SECONDS = 90
"""How long the service does."""


def service_log_group(stage: str) -> str:
    """Name of the log group of the service of `stage`: its execution log is in there."""
    return log_group(stage, "service")


def records_bucket(stage: str, account: str) -> str:
    """Name of the bucket of `stage` into which files of records are dropped.

    It has no region in it: a stage has one, and a name of 63 characters no room for it.
    """
    return named(stage, "records", account)


def records_state_machine(stage: str) -> str:
    """Name of the state machine that answers dropped files of records."""
    return named(stage, "records")


def records_state_machine_of(bucket: str) -> tuple[str, str]:
    """Return the name of the state machine that answers files in this bucket, and its account."""
    name, _, account = bucket.rpartition("-")
    return name, account


def records_log_group(stage: str) -> str:
    """Name of the log group of that state machine.

    All log groups that AWS's services deliver to share one policy of limited length, unless their
    names begin so.
    """
    return f"/aws/vendedlogs/states/{records_state_machine(stage)}"


def records_role(stage: str) -> str:
    """Name of the role that containers have which answer files of records."""
    return f"{service(stage)}-records"


def records_source() -> str:
    """EventBridge source of the event that a file of records is answered."""
    return f"{installation()}.records"


EVENT_RECORDS_ANSWERED = "RecordsAnswered"
NOT_PLANNED = "RecordsNotPlanned"
"""Error of an execution whose file nobody could plan: nothing was asked, and no redrive helps."""


def rollback_function(stage: str) -> str:
    """Name of the rollback Lambda of `stage`."""
    return named(stage, "rollback")


def rollback_log_group(stage: str) -> str:
    """Name of the log group of that Lambda."""
    return f"/aws/lambda/{rollback_function(stage)}"


BUILD_SET_UP_MINUTES = 10
"""What a build that evaluates is given to install what it needs."""
LONGEST_EVALUATION_SECONDS = (36 * 60 - BUILD_SET_UP_MINUTES) * 60
"""CodeBuild takes no longer timeout than 36 hours (`timeoutInMinutes` of CreateProject, November
2026), and deploying one fails."""
ROLLBACK_SECONDS = 60
"""How long the rollback Lambda may run; what it waits for adds up to less."""


def notification_topic(stage: str) -> str:
    """Name of the SNS topic that tells people what happened in `stage`."""
    return named(stage, "notifications")


TOOLCHAIN = "toolchain"
"""The toolchain's dashboard, named as a stage's is; no stage may have this name."""


def dashboard(what: str) -> str:
    """Name of the dashboard of a stage, or of `TOOLCHAIN`."""
    return named(what)


def score_alarm_prefix(stage: str) -> str:
    """Return what the name of every score alarm of `stage` begins with."""
    return named(stage, "score-")


def score_alarm(stage: str, task: str) -> str:
    """Name of the alarm that fires when `task` scores below its locked threshold."""
    return score_alarm_prefix(stage) + task


def contract_alarm_prefix(stage: str) -> str:
    """Return what the name of every contract alarm of `stage` begins with."""
    return named(stage, "contract-")


def contract_alarm(stage: str, task: str) -> str:
    """Name of the alarm that fires when calls of `task` break the prompt's own contract."""
    return contract_alarm_prefix(stage) + task


def freshness_alarm(stage: str, task: str) -> str:
    """Name of the alarm that fires when no score of `task` has arrived for too long."""
    return named(stage, "freshness", task)


def watch_budget_alarm(stage: str) -> str:
    """Name of the alarm that says that a task is not measured for the rest of its day."""
    return named(stage, "watch-budget")


# --- The ledger's table -------------------------------------------------------------------------

LEDGER_PARTITION_KEY = "pk"
LEDGER_SORT_KEY = "sk"
"""Both keys are strings; the table needs no index."""
# IAM tells items apart by their partition: who may write into which, `cdk_app.permissions` says.
LEDGER_HEAD = "HEAD"
"""Partition of the number of changes so far."""
LEDGER_ACTIVE = "ACTIVE"
"""Partition of the pointers."""
LEDGER_RELEASE = "RELEASE"
"""Partition of what is known of the release that is deployed."""
LEDGER_OUTBOX = "OUTBOX"
"""Partition of the claim that one process at a time holds while it sends notifications."""
LEDGER_TASKS = "TASK#"
"""What the partition of every task's versions and history begins with."""
LEDGER_SCORES = "SCORE#"
"""What the partition of every task's score samples begins with."""

# --- The image ---------------------------------------------------------------------------------

RELEASE_FILE = "release.json"
"""What an image carries, at the root of the tree it was built from."""

# --- Keys in the results bucket ----------------------------------------------------------------


def evaluation_key(execution: str, task: str) -> str:
    """Key of the evaluation record of `task` made by `execution`."""
    return f"evaluations/{execution}/{task}.json"


def evaluation_details_key(execution: str, task: str) -> str:
    """Key of the record's details: one JSON line an example."""
    return f"evaluations/{execution}/{task}.jsonl"


def evaluation_page_key(execution: str, task: str) -> str:
    """Key of the page of that evaluation, every example in it."""
    return f"evaluations/{execution}/{task}.html"


def verdict_key(digest: str) -> str:
    """Key under which a verdict is remembered by the hash of everything that decided it."""
    return f"verdicts/{digest}.json"


def verdict_details_key(digest: str) -> str:
    """Key of the details of a remembered verdict."""
    return f"verdicts/{digest}.jsonl"


def attempt_key(digest: str) -> str:
    """Key of the prompt whose verdict is remembered, on the machine where its author tried it."""
    return f"attempts/{digest}.json"


def code_tests_key(digest: str) -> str:
    """Key under which a green run of the tests is remembered by the hash of all that is code."""
    return f"{CODE_TESTS}{digest}.json"


CODE_TESTS = "tests/"
"""What the key of every such mark begins with; they expire, so that tests run again some time."""


def green_templates_key(digest: str) -> str:
    """Key under which a green check of templates is remembered by the hash of all that decides."""
    return f"{GREEN_TEMPLATES}{digest}.json"


def green_app_key(digest: str) -> str:
    """Key under which the newest green templates of an app are, by the hash of its code."""
    return f"{GREEN_TEMPLATES}app-{digest}.json"


GREEN_TEMPLATES = "templates/"
"""What the key of every such mark begins with; they expire like those of tests."""


def examples_key(sha256: str) -> str:
    """Key of an example set that is too large for git, by the hash of its bytes."""
    return f"{EXAMPLE_SETS}{sha256}.jsonl"


EXAMPLE_SETS = "examples/"
"""What the key of every such set begins with; they stay, for records name them."""


def details_key(sha256: str) -> str:
    """Key of the details of a record that are too large for git, by the hash of their bytes."""
    return f"{LARGE_DETAILS}{sha256}.jsonl"


LARGE_DETAILS = "verdicts/details/"
"""What the key of all such details begins with: they are remembered with verdicts, and stay."""


def promotion_key(execution: str) -> str:
    """Key of what `execution` promoted, blocked or left alone."""
    return f"promotions/{execution}.json"


def manifest_key(release: str) -> str:
    """Key of the manifest of `release`: what its image carries."""
    return f"manifests/{release}.json"


def image_key(release: str) -> str:
    """Key of the record of the image of `release`: which one was pushed, by its digest."""
    return f"images/{release}.json"


def release_key(release: str, stage: str) -> str:
    """Key of the record of `release` in `stage`: manifest, pointers, smoke test."""
    return f"releases/{release}/{stage}.json"


def smoke_key(release: str, stage: str) -> str:
    """Key of the result of the smoke test of `release` in `stage`."""
    return f"releases/{release}/{stage}-smoke.json"


def drill_key(release: str, stage: str) -> str:
    """Key of the result of the newest rollback drill of `release` in `stage`."""
    return f"releases/{release}/{stage}-drill.json"


def sample_key(stage: str, task: str, at: str) -> str:
    """Key of the details of one score watch sample taken at `at` (ISO 8601, UTC)."""
    return f"samples/{stage}/{task}/{at}.json"


# --- Keys in the records bucket ----------------------------------------------------------------

INCOMING = "incoming/"
"""Where files of records are dropped: `incoming/TASK/NAME`."""
RUNS = "runs/"
"""Where what became of them is: one folder a run, below that of its task."""
WORK = "work/"
"""Where shards, journals and parts of the output are while a run goes on, in folders like those."""
INDEX = "index/"
"""Where runs are found by the versions that answered in them."""
SHARDS_FILE = "shards.json"
"""Beside a run's plan: the shards that a Distributed Map reads, one item each."""


def run_key(task: str, run: str, name: str) -> str:
    """Key of the object `name` of a run, such as `plan.json`, `manifest.json` or `output.jsonl`.

    One in a folder (`shards/00007.jsonl`, `part/00007/…`, `out/00007.jsonl`) only serves to make
    the output, and expires: by nothing but the beginning of a key can S3 tell what shall.
    """
    return f"{WORK if '/' in name else RUNS}{task}/{run}/{name}"


def answering_prefix(alias: str, slot: int) -> str:
    """Return what the keys of runs begin with that ask this model in a slot of time.

    No task is called so.
    """
    return f"{WORK}_answering/{alias}/{slot:012}/"


def version_runs_prefix(task: str, version: str) -> str:
    """Return what the keys of every run begin with that `version` has answered records of."""
    return f"{INDEX}{task}/{version}/"


def version_run_key(task: str, version: str, run: str) -> str:
    """Key by which a run is found from a version that has answered some of its records."""
    return f"{version_runs_prefix(task, version)}{run}.json"
