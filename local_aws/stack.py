"""What a local run consists of: the model, the local AWS, the git remote, and how to reach them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws import permission_log
from local_aws.aliases import FLOATING
from local_aws.isolation import isolated
from local_aws.mail import FOLDER as MAIL
from local_aws.moved import require_its_place
from local_aws.placing import made_whole
from local_aws.ports import SERVERS, kept_in, reserve
from local_aws.processes import Background, LocalRunError, digest_of, end_holders
from local_aws.settings import BUILD_LOCKS, TASK_LOCKS, app_settings
from local_aws.shell_file import shell_lines
from local_aws.weights import DEFAULT, SMALL, LocalModelError, fetch

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_codepipeline import CodePipelineClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client

ACCOUNT = "000000000000"
STAGE = "dev"
PINNED = "catalogue-pinned"
HUB = (sys.executable, "-m", "prompt_hub.cli")
"""What a command of the product begins with."""
_FOR_PEOPLE = (
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "PROMPT_HUB_MODELS",
)
"""What of a local run's overrides a person's commands need, too."""


class LocalStack:
    """The processes and addresses of one local run; everything it keeps lies in `state`."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root = root
        self.state = state
        self.remote = state / "remote.git"
        self.author = state / "author"
        """A prompt author's clone, for people: nothing here commits in it or pushes from it."""
        self.demo = state / "demo"
        """The clone of the author whom the lifecycle plays."""

    # --- addresses -----------------------------------------------------------------------------

    @cached_property
    def settings(self) -> Mapping[str, object]:
        """What `cdk.json` says to the CDK app."""
        return app_settings(self.root / "cdk.json")

    @property
    def installation(self) -> str:
        """What the names of all that is deployed begin with."""
        return str(self.settings.get("installation", "prompt-hub"))

    @property
    def region(self) -> str:
        """The region that the app is deployed to."""
        return str(self.settings["region"])

    @property
    def branch(self) -> str:
        """The branch whose pushes start the pipeline."""
        return str(self.settings.get("branch", "main"))

    @cached_property
    def ports(self) -> dict[str, int]:
        """Free loopback ports, the same at every start as long as nobody else took them."""
        path = self.state / "ports.json"
        saved = kept_in(path)
        chosen: dict[str, int] = {}
        servers = {"cloud": self._cloud, "model": self._model, "console": self._console}
        for name, server in servers.items():
            wanted = saved.get(name)
            # A port that our own process listens on is not free, and is the right one.
            mine = wanted if wanted and server(0).running() else None
            chosen[name] = mine or reserve(SERVERS, wanted)
        if chosen != saved:
            self.state.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(chosen), encoding="utf-8")
        return chosen

    @property
    def endpoint(self) -> str:
        """Where the local AWS answers."""
        return f"http://127.0.0.1:{self.ports['cloud']}"

    @property
    def model_url(self) -> str:
        """Where the local model answers."""
        return f"http://127.0.0.1:{self.ports['model']}"

    @cached_property
    def environment(self) -> dict[str, str]:
        """This process's environment, pointed at the local AWS and at nothing else of AWS."""
        path = f"{self._bin}{os.pathsep}{os.environ['PATH']}"
        return {**isolated(os.environ), **self.overrides, "PATH": path}

    @property
    def overrides(self) -> dict[str, str]:
        """The only things in which a local run differs from AWS: endpoints, and one interval.

        The ledger is on the same machine: to look at it more often than `poll_seconds` of a stage
        says costs nobody anything, and a rollback, and its drill, wait for that look.
        """
        return {
            "PROMPT_HUB_POLL_SECONDS": "0.5",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "PROMPT_HUB_MODELS": str(self.state / "models.json"),
            # Node 20 works; its end of life is said in the README, not at every synth.
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        }

    @property
    def console_url(self) -> str:
        """Where the console lets somebody in by its token; `LocalRunError` if it never started."""
        try:
            token = self._console_token.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise LocalRunError("it was not started yet: `make up` starts it.") from None
        return f"http://127.0.0.1:{self.ports['console']}/?token={token}"

    @property
    def _console_token(self) -> Path:
        return self.state / "console.token"

    @property
    def mail(self) -> Path:
        """Where the messages to people are."""
        return self.state / "cloud" / MAIL

    @property
    def shell_file(self) -> Path:
        """What a person's shell sources to work on the local AWS."""
        return self.state / "env"

    def shell_lines(self) -> str:
        """Return the lines of `shell_file`: they point a shell here, and nowhere else of AWS."""
        values = {
            **{name: self.overrides[name] for name in _FOR_PEOPLE},
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PROMPT_HUB_INSTALLATION": self.installation,
        }
        return shell_lines(values, self._bin)

    @property
    def _bin(self) -> Path:
        return Path(sys.executable).parent

    # --- processes -----------------------------------------------------------------------------

    def _cloud(self, port: int) -> Background:
        settings = str(self.state / "cloud.json")
        ready = f"http://127.0.0.1:{port}/_ministack/health"
        return self._server("cloud", ready, "local_aws.cloud", "--settings", settings)

    def _model(self, port: int) -> Background:
        words = ("serve", "--port", str(port), "--state", str(self.state / "model"))
        ready = f"http://127.0.0.1:{port}/health"
        return self._server("model", ready, "local_aws.local_model", *words)

    def _console(self, port: int) -> Background:
        words = ("console", "--stage", STAGE, "--port", str(port))
        token = ("--token-file", str(self._console_token))
        ready = f"http://127.0.0.1:{port}/"
        server = self._server("console", ready, "prompt_hub.cli", *words, *token)
        if not port:
            # It is only looked at: the environment that it starts with takes ports.
            return server
        # The author's clone, which says what the installation is called, is made later.
        of_people = {
            "PROMPT_HUB_ROOT": str(self.author),
            "PROMPT_HUB_INSTALLATION": self.installation,
        }
        code = digest_of(self.root / "local_aws", self.root / "pipeline_image")
        # Nobody gets in without its token.
        return replace(
            server, environment={**self.environment, **of_people}, ready_status=403, code=code
        )

    def _server(self, name: str, ready_url: str, *module: str) -> Background:
        return Background(
            name=name,
            command=[sys.executable, "-m", *module],
            ready_url=ready_url,
            state=self.state,
            environment={**isolated(os.environ), "PYTHONUNBUFFERED": "1"},
            cwd=self.root,
            code=digest_of(self.root / "local_aws"),
        )

    def fetch_models(self) -> None:
        """Bring both models' weights into the cache; raises `LocalRunError` with what to do."""
        try:
            for known in (DEFAULT, SMALL):
                print(f"      {fetch(known)}", flush=True)
        except LocalModelError as error:
            raise LocalRunError(str(error)) from None

    def start(self) -> bool:
        """Start the model, its weights fetched first, and the local AWS.

        Returns whether either was started now. Raises `LocalRunError` in a checkout that was moved.
        """
        require_its_place(self.state, self.author)
        models = {
            alias: {
                "provider": "openai",
                "model": model,
                "base_url": f"{self.model_url}/v1",
                # It answers one call at a time: one more that waits keeps it busy.
                "concurrency": 2,
            }
            for alias, model in ((PINNED, DEFAULT.name), (FLOATING, FLOATING))
        }
        self.state.mkdir(parents=True, exist_ok=True)
        (self.state / "models.json").write_text(json.dumps(models, indent=2), encoding="utf-8")
        cloud = {
            "port": self.ports["cloud"],
            "state": str(self.state / "cloud"),
            "account": ACCOUNT,
            "region": self.region,
            "overrides": self.overrides,
            "repositories": {str(self.settings["repository"]): str(self.remote)},
            "permissions": os.environ.get("PROMPT_HUB_LOCAL_PERMISSIONS", "enforce"),
        }
        (self.state / "cloud.json").write_text(json.dumps(cloud, indent=2), encoding="utf-8")
        self.shell_file.write_text(self.shell_lines(), encoding="utf-8")
        with ThreadPoolExecutor(1) as beside:
            # It needs neither the model nor its weights to start.
            aws = beside.submit(self._cloud(self.ports["cloud"]).start)
            console = beside.submit(self._console(self.ports["console"]).start)
            self.fetch_models()
            model = self._model(self.ports["model"]).start()
            console.result()
            return aws.result() or model

    def stop(self) -> None:
        """Stop everything; what it made is kept."""
        for process in (self._console(0), self._cloud(0), self._model(0)):
            if process.stop():
                print(f"stopped the {process.name}")
        # Of a local AWS that was killed and could not end them itself.
        cloud = self.state / "cloud"
        end_holders([*cloud.glob(TASK_LOCKS), *cloud.glob(BUILD_LOCKS)])
        shutil.rmtree(cloud / "builds", ignore_errors=True)

    def denials(self) -> list[str]:
        """Say what IAM denied since the local AWS was started, each once, the newest last."""
        return permission_log.denials(self.state / "cloud")

    def audit(self) -> str:
        """Sum up what IAM would have denied; empty where it was not asked so."""
        return permission_log.audit(self.state / "cloud")

    @property
    def is_up(self) -> bool:
        """Whether the local AWS runs."""
        return self._cloud(0).running() is not None

    def processes(self) -> Iterator[str]:
        """Yield which processes run, and where their logs are."""
        for process in (self._cloud(0), self._model(0), self._console(0)):
            pid = process.running()
            yield (
                f"{process.name:<8} {'runs as ' + str(pid) if pid else 'does not run'}"
                f"  {process.log}"
            )

    # --- git -----------------------------------------------------------------------------------

    def make_remote(self) -> None:
        """Make an empty scratch remote: the pipeline's source before the first push."""
        if not self.remote.exists():
            with made_whole(self.remote) as fresh:
                self.git("init", "--quiet", "--bare", f"--initial-branch={self.branch}", fresh)
                # The checkout may be a shallow one, as CI systems make them.
                self.git("-C", fresh, "config", "receive.shallowUpdate", "true")

    def clone(self, folder: Path) -> Path:
        """Make or update a prompt author's clone; before the first push, of the checkout's HEAD.

        What was changed there stays, committed or not; raises `LocalRunError` where that conflicts.
        """
        where = str(folder)
        pushed = self.git("ls-remote", "--heads", str(self.remote), self.branch)
        if not folder.exists():
            source = self.remote if pushed else self.root
            with made_whole(folder) as fresh:
                self.git("clone", "--quiet", "--no-hardlinks", str(source), fresh)
                self.git("-C", fresh, "checkout", "--quiet", "-B", self.branch)
                self.git("-C", fresh, "remote", "set-url", "origin", str(self.remote))
                self.git("-C", fresh, "config", "user.name", "Prompt Author")
                self.git("-C", fresh, "config", "user.email", "author@example.com")
        if pushed:
            # A merge that was not pushed stays one: as single commits it would conflict again.
            pull = ("pull", "--quiet", "--rebase=merges", "--autostash", "origin", self.branch)
            try:
                self.git("-C", where, *pull)
            except LocalRunError:
                with suppress(LocalRunError):  # it had not come as far as that
                    self.git("-C", where, "rebase", "--abort")
                raise
            self.git("-C", where, "branch", "--quiet", f"--set-upstream-to=origin/{self.branch}")
            # Git ends with 0 where what was put aside does not fit any more.
            if self.git("-C", where, "ls-files", "--unmerged"):
                raise LocalRunError(
                    f"what was not committed in {folder} does not fit what was pushed: git keeps it"
                    " in `git stash list`, and `git status` names the files."
                )
        return folder

    def push(self, message: str) -> str | None:
        """Commit what the lifecycle's author changed and push it; None if all was there already."""
        where = str(self.demo)
        self.git("-C", where, "add", "--all")
        if self.git("-C", where, "status", "--porcelain"):
            self.git("-C", where, "commit", "--quiet", "--message", message)
        commit = self.git("-C", where, "rev-parse", "HEAD")
        if self.git("-C", where, "ls-remote", "--heads", "origin", self.branch).startswith(commit):
            return None
        self.git("-C", where, "push", "--quiet", "origin", f"HEAD:{self.branch}")
        return commit

    def git(self, *arguments: str) -> str:
        """Run git; raises `LocalRunError` with its last line."""
        return self.run(["git", *arguments], quiet=True)

    # --- commands and clients ------------------------------------------------------------------

    def start_command(
        self, command: Sequence[str], *, extra: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        """Start a command on the local AWS and leave it running, its output thrown away."""
        return subprocess.Popen(
            list(command),
            cwd=self.root,
            env={**self.environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(
        self,
        command: Sequence[str],
        *,
        quiet: bool = False,
        extra: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        accept: Collection[int] = (0,),
    ) -> str:
        """Run a command on the local AWS, its output kept and, unless `quiet`, shown indented.

        Raises:
            LocalRunError: it ended with an exit code that is not in `accept`.
        """
        process = subprocess.Popen(
            list(command),
            cwd=cwd or self.root,
            env={**self.environment, **(extra or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = []
        with process:
            for line in process.stdout or ():
                lines.append(line)
                if not quiet and line.strip():
                    print(f"      {line.rstrip()}", flush=True)
        if process.returncode not in accept:
            filled = [line.strip() for line in lines if line.strip()]
            raise LocalRunError(
                f"`{' '.join(command)}` ended with exit code {process.returncode}:"
                f" {' / '.join(filled[-3:]) or 'it said nothing'}."
            )
        return "".join(lines).strip()

    @cached_property
    def _session(self) -> Session:
        import boto3

        return boto3.Session(
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",  # noqa: S106
            region_name=self.region,
        )

    @cached_property
    def pipelines(self) -> CodePipelineClient:
        """CodePipeline of the local AWS."""
        return self._session.client("codepipeline", endpoint_url=self.endpoint)

    @cached_property
    def alarms(self) -> CloudWatchClient:
        """CloudWatch of the local AWS."""
        return self._session.client("cloudwatch", endpoint_url=self.endpoint)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        """CloudWatch Logs of the local AWS."""
        return self._session.client("logs", endpoint_url=self.endpoint)

    @cached_property
    def tables(self) -> DynamoDBClient:
        """DynamoDB of the local AWS."""
        return self._session.client("dynamodb", endpoint_url=self.endpoint)

    @cached_property
    def objects(self) -> S3Client:
        """S3 of the local AWS."""
        return self._session.client("s3", endpoint_url=self.endpoint)

    def load_balancers(self) -> dict[str, str]:
        """Return where each load balancer of the local AWS answers, by its name."""
        found = self._session.client("elbv2", endpoint_url=self.endpoint).describe_load_balancers()
        return {each["LoadBalancerName"]: each["DNSName"] for each in found["LoadBalancers"]}
