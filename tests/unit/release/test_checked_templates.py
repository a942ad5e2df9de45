"""Templates are checked again when they, the code, tools or command change, and on any doubt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode, PromptHubError
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults, Results
from prompt_hub.release.checked_templates import (
    GreenTemplates,
    TemplateCheck,
    assembly_of,
    main,
)
from prompt_hub.repository.json import parse_model
from tests.unit.kept_folder import KeptFolder
from tests.unit.release.no_bucket import NoBucket, no_client

pytestmark = pytest.mark.processes

RELEASE = "51b5d4ed-e192-4d1e-9964-484aa37202ba"
OTHER = "6c0f3b0a-77aa-4b1c-8d2e-0123456789ab"
TOOLS = {"python": "CPython 3.13.0", "aws-cdk-lib": "2.270.0", "cdk-nag": "3.0.2"}
NESTED = "assembly-dev/service.template.json"
# It runs a hundred times: with the few modules that it needs, and none that a venv would add.
COMMAND = (sys.executable, "-E", "-S", "app.py")
APP = """
import hashlib, json, os
output = os.environ["CDK_OUTDIR"] + "/"
release = os.environ.get("PROMPT_HUB_RELEASE", "unreleased")
settings = json.load(open("settings.json"))
checked = os.environ.get("CDK_VALIDATION") != "false"
open(settings["log"], "a").write("checked\\n" if checked else "plain\\n")

def write(name, value):
    os.makedirs(os.path.dirname(output + name), exist_ok=True)
    text = json.dumps(value)
    open(output + name, "w").write(text)
    return hashlib.sha256(text.encode()).hexdigest()

def stack(folder, name, template, acknowledged):
    key = write(f"{folder}{name}.template.json", template)
    destination = {"objectKey": f"{key}.json"}
    label = "current-" + hashlib.sha256(json.dumps(destination).encode()).hexdigest()[:8]
    files = {key: {"destinations": {label: destination}}}
    write(f"{folder}{name}.assets.json", {"files": files, "dockerImages": {}})
    trace = f"/tmp/jsii-kernel-{os.getpid()}/alarm.js"
    write(f"{folder}{name}.metadata.json", {"/path": [
        {"type": "aws:cdk:creationStack", "data": [trace]},
        {"type": "aws:cdk:acknowledged-rules", "data": acknowledged, "trace": [trace]}]})
    return f"s3://assets/{key}.json"

url = stack("assembly-dev/", "service", {"Image": f"hub:{release}"}, settings["acknowledged"])
write("assembly-dev/manifest.json", {"template": url})
stack("", "pipeline", {"Size": settings["size"]}, {})
open(output + "synth.lock", "w").write(str(os.getpid()))
open(output + "asset.bin", "wb").write(b"\\xff\\x00")
if checked and settings["report"]:
    write("validation-report.json", {"pluginReports": [
        {"pluginName": "Rules", "conclusion": settings["report"]}]})
if checked and settings.get("late"):
    stack("", "pipeline", {"Size": "other"}, {})
if "touches" in settings:
    open(settings["touches"], "a").write("\\n")
raise SystemExit(settings["exit"] if checked else settings.get("plain exit", 0))
"""


@dataclass
class Checkout:
    """A repository whose app notes down each synthesis, and whether it was a checked one."""

    root: Path
    results: Results
    log: Path
    settings: dict[str, object]
    lines: list[str] = field(default_factory=list)

    def set(self, **changes: object) -> None:
        self.settings.update({key.replace("_", " "): value for key, value in changes.items()})
        text = json.dumps(self.settings)
        (self.root / "settings.json").write_text(text, encoding="utf-8")

    def synthesise(self, release: str = RELEASE, *, validation: str | None = None) -> Path:
        """Run the app by itself; returns what it wrote into."""
        output = self.root.parent / f"out-{len(list(self.root.parent.iterdir()))}"
        self.call(output, release, validation=validation)
        return output

    def call(self, output: Path, release: str, *, validation: str | None) -> None:
        environment = {"CDK_OUTDIR": str(output), aws_names.ENV_RELEASE: release}
        environment |= {} if validation is None else {"CDK_VALIDATION": validation}
        subprocess.run(COMMAND, cwd=self.root, env=environment, check=True)

    def run(
        self,
        release: str = RELEASE,
        *,
        tools: dict[str, str] | None = None,
        results: Callable[[], Results] | None = None,
        command: Sequence[str] = COMMAND,
        validation: str | None = None,
    ) -> int:
        environment = {"CDK_OUTDIR": "cdk.out", aws_names.ENV_RELEASE: release}
        environment |= {} if validation is None else {"CDK_VALIDATION": validation}
        return TemplateCheck(
            self.root,
            command,
            results or (lambda: self.results),
            environment=environment,
            tools=TOOLS if tools is None else tools,
            say=self.lines.append,
        ).run()

    @property
    def runs(self) -> list[str]:
        """How the app has run, each time: checked or plain."""
        return self.log.read_text("utf-8").split()

    @property
    def checks(self) -> int:
        """How often the app has run with its checks."""
        return self.runs.count("checked")

    @property
    def marks(self) -> list[Path]:
        """What is remembered of templates; of whose code it is, stands beside."""
        kept = (self.root / RESULTS_DIR).rglob("*.json")
        return sorted(path for path in kept if not path.name.startswith("app-"))


FILES = {
    # The settings stand for a task's metadata, which is no code.
    ".gitignore": ".prompt-hub/\ncdk.out/\nsettings.json\n",
    "app.py": APP,
    "cdk_app/nag.py": "RULES = 1\n",
    "requirements.lock": "cdk-nag==3.0.2\n",
    "package-lock.json": "{}\n",
    "prompts/00-templates/a.yaml": "a\n",
}


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> KeptFolder:
    """The repository with its one commit, which every test writes for itself."""
    root = tmp_path_factory.mktemp("committed")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    identity = ("-c", "user.name=Author", "-c", "user.email=author@example.com")
    begin = ("init", "--quiet", "--template=")
    for arguments in (begin, ("add", "--all"), ("commit", "--quiet", "-m", "all")):
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True)
    return KeptFolder.read(root)


@pytest.fixture
def checkout(committed: KeptFolder, tmp_path: Path) -> Checkout:
    root, log = committed.write(tmp_path / "repository"), tmp_path / "app.log"
    made = Checkout(root, FolderResults(root / RESULTS_DIR), log, {})
    made.set(log=str(log), acknowledged={"IAM5": "why"}, size=1, report="success", exit=0)
    return made


# --- The hash ----------------------------------------------------------------------------------


def test_an_assembly_has_the_same_hashes_in_every_release(checkout: Checkout) -> None:
    one = assembly_of(checkout.synthesise(RELEASE), RELEASE)
    other = assembly_of(checkout.synthesise(OTHER), OTHER)
    assert one == other
    assert {NESTED, "assembly-dev/manifest.json", "pipeline.assets.json", "asset.bin"} <= one.keys()


def test_what_the_checks_write_is_no_part_of_it(checkout: Checkout) -> None:
    checked = checkout.synthesise()
    plain = checkout.synthesise(validation="false")
    assert (checked / "validation-report.json").exists()
    assert assembly_of(checked, RELEASE) == assembly_of(plain, RELEASE)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (NESTED, "hub:", "rub:"),
        ("pipeline.template.json", "1", "2"),
        ("assembly-dev/service.metadata.json", "why", "no reason"),
        ("assembly-dev/service.metadata.json", "IAM5", "IAM4"),
        ("assembly-dev/service.assets.json", ".json", ".zip"),
        ("pipeline.assets.json", "objectKey", "bucketName"),
        ("assembly-dev/manifest.json", "s3://assets", "s3://others"),
    ],
)
def test_everything_else_that_was_synthesised_counts(
    checkout: Checkout, name: str, old: str, new: str
) -> None:
    output = checkout.synthesise()
    before = assembly_of(output, RELEASE)
    text = (output / name).read_text("utf-8")
    assert old in text
    (output / name).write_text(text.replace(old, new), encoding="utf-8")
    after = assembly_of(output, RELEASE)
    assert {key for key in before if before[key] != after[key]} >= {name}


def test_a_template_more_or_another_asset_counts(checkout: Checkout) -> None:
    output = checkout.synthesise()
    before = assembly_of(output, RELEASE)
    (output / "asset.bin").write_bytes(b"\xff\x01")
    changed = assembly_of(output, RELEASE)
    (output / "assembly-dev" / "more.template.json").write_text("{}", encoding="utf-8")
    assert changed != before
    assert assembly_of(output, RELEASE) != changed


def test_a_hash_of_another_template_is_not_masked(checkout: Checkout) -> None:
    output = checkout.synthesise()
    before = assembly_of(output, RELEASE)
    manifest = output / "assembly-dev" / "manifest.json"
    own = sha256((output / NESTED).read_bytes()).hexdigest()
    manifest.write_text(manifest.read_text("utf-8").replace(own, "0" * 64), encoding="utf-8")
    assert assembly_of(output, RELEASE) != before


@pytest.mark.parametrize("release", ["", "1", "unreleased", RELEASE.upper(), f"{RELEASE}0"])
def test_only_the_id_of_an_execution_is_masked(checkout: Checkout, release: str) -> None:
    output = checkout.synthesise()
    with pytest.raises(PromptHubError, match="is not the id of an execution"):
        assembly_of(output, release)


# --- The mark ----------------------------------------------------------------------------------


def test_green_templates_are_not_checked_again(checkout: Checkout) -> None:
    assert checkout.run(RELEASE) == 0
    assert checkout.run(OTHER) == 0
    assert checkout.checks == 1
    assert f"were green in execution {RELEASE} at 20" in checkout.lines[-1]


def test_what_is_used_is_what_was_hashed(checkout: Checkout) -> None:
    checkout.run(RELEASE)
    checkout.run(OTHER)
    (mark,) = checkout.marks
    assert OTHER in (checkout.root / "cdk.out" / NESTED).read_text("utf-8")
    found = assembly_of(checkout.root / "cdk.out", OTHER)
    assert json.loads(mark.read_text("utf-8"))["files"] == len(found)
    assert not (checkout.root / "cdk.out" / "validation-report.json").exists()


def test_the_mark_says_what_was_green_when_and_with_what(checkout: Checkout) -> None:
    checkout.run()
    (path,) = checkout.marks
    green = parse_model(path.read_text("utf-8"), path.name, GreenTemplates, hint="")
    assert path.relative_to(checkout.root / RESULTS_DIR).as_posix() == (
        aws_names.green_templates_key(green.digest)
    )
    assert (green.command, green.tools) == (COMMAND, TOOLS)
    assert green.execution == RELEASE
    assert len(green.commit) == 40


def test_code_of_which_nothing_was_green_runs_once_with_the_checks(checkout: Checkout) -> None:
    checkout.run()
    (checkout.root / "app.py").write_text(f"{APP}\n", encoding="utf-8")
    checkout.run(OTHER)
    assert checkout.runs == ["checked", "checked"]


def test_other_templates_of_the_same_code_are_seen_without_the_checks(checkout: Checkout) -> None:
    checkout.run()
    checkout.set(size=2)
    checkout.run(OTHER)
    checkout.set(size=1)
    checkout.run(OTHER)
    assert checkout.runs == ["checked", "plain", "checked", "plain"]


def test_a_prompt_that_reaches_no_template_is_not_checked(checkout: Checkout) -> None:
    checkout.run()
    (checkout.root / "prompts" / "00-templates" / "a.yaml").write_text("b\n", encoding="utf-8")
    checkout.run(OTHER)
    assert checkout.checks == 1


@pytest.mark.parametrize(
    "name", ["cdk_app/nag.py", "app.py", "requirements.lock", "package-lock.json", "new_rules.py"]
)
def test_changed_rules_locks_and_code_are_checked(checkout: Checkout, name: str) -> None:
    checkout.run()
    with (checkout.root / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    checkout.run(OTHER)
    assert checkout.checks == 2
    assert len(checkout.marks) == 2


@pytest.mark.parametrize("change", [{"size": 2}, {"acknowledged": {"IAM5": "why", "S1": "so"}}])
def test_changed_templates_and_acknowledgements_are_checked(
    checkout: Checkout, change: dict[str, object]
) -> None:
    checkout.run()
    checkout.set(**change)
    checkout.run(OTHER)
    assert checkout.checks == 2


def test_other_tools_or_another_command_are_checked(checkout: Checkout) -> None:
    checkout.run()
    checkout.run(tools={**TOOLS, "cdk-nag": "3.0.3"})
    checkout.run(command=(sys.executable, "-E", "-S", "-B", "app.py"))
    assert checkout.checks == 3


# --- What leaves no mark -----------------------------------------------------------------------


def test_what_fails_its_checks_is_never_remembered(checkout: Checkout) -> None:
    checkout.set(report="failure", exit=1)
    assert checkout.run() == 1
    assert checkout.run(OTHER) == 1
    assert checkout.checks == 2
    assert checkout.marks == []


@pytest.mark.parametrize("report", ["failure", ""])
def test_an_exit_code_without_a_green_report_is_not_remembered(
    checkout: Checkout, report: str
) -> None:
    checkout.set(report=report)
    assert checkout.run() == 0
    assert checkout.marks == []
    assert "checked, but not remembered" in checkout.lines[-1]


def test_a_report_of_an_earlier_run_is_no_report(checkout: Checkout) -> None:
    output = checkout.root / "cdk.out"
    checkout.call(output, RELEASE, validation=None)
    checkout.set(report="")
    assert checkout.run() == 0
    assert checkout.marks == []


def test_templates_that_differ_with_the_checks_are_checked_each_time(checkout: Checkout) -> None:
    checkout.set(late=True)
    assert checkout.run() == 0
    assert checkout.run(OTHER) == 0
    assert checkout.runs == ["checked", "plain", "checked"]


def test_code_that_changes_under_the_checks_is_not_remembered(checkout: Checkout) -> None:
    checkout.set(touches="cdk_app/nag.py")
    assert checkout.run() == 0
    assert checkout.marks == []
    assert "changed meanwhile" in checkout.lines[-1]


def test_an_app_that_fails_without_checks_is_not_run_with_them(checkout: Checkout) -> None:
    checkout.run()
    checkout.set(plain_exit=3)
    assert checkout.run(OTHER) == 3
    assert checkout.runs == ["checked", "plain"]


def test_a_switch_in_the_environment_turns_no_check_off(checkout: Checkout) -> None:
    assert checkout.run(validation="false") == 0
    assert checkout.checks == 1


# --- Doubts ------------------------------------------------------------------------------------


def torn(text: str) -> str:
    return text[: len(text) // 2]


def of_others(text: str) -> str:
    return json.dumps({**json.loads(text), "digest": "0" * 64})


def of_another_command(text: str) -> str:
    return json.dumps({**json.loads(text), "command": ["true"]})


@pytest.mark.parametrize("damage", [torn, of_others, of_another_command, lambda text: ""])
def test_a_mark_that_says_something_else_lets_the_checks_run(
    checkout: Checkout, damage: Callable[[str], str]
) -> None:
    checkout.run()
    (mark,) = checkout.marks
    whole = json.loads(mark.read_text("utf-8"))
    mark.write_text(damage(mark.read_text("utf-8")), encoding="utf-8")
    assert checkout.run(OTHER) == 0
    assert checkout.checks == 2
    assert json.loads(mark.read_text("utf-8"))["digest"] == whole["digest"]


@pytest.mark.parametrize("results", [NoBucket, no_client])
def test_without_a_bucket_templates_are_checked_and_the_outcome_counts(
    checkout: Checkout, results: Callable[[], Results]
) -> None:
    assert checkout.run(results=results) == 0
    checkout.set(exit=1)
    assert checkout.run(results=results) == 1
    assert checkout.checks == 2
    assert any("templates: checked (" in line and "because" in line for line in checkout.lines)
    assert any("checked, but not remembered:" in line for line in checkout.lines)


def test_a_release_that_is_no_execution_is_checked_always(checkout: Checkout) -> None:
    assert checkout.run("unreleased") == 0
    assert checkout.run("unreleased") == 0
    assert checkout.checks == 2
    assert checkout.marks == []


def test_where_git_knows_nothing_templates_are_checked(checkout: Checkout) -> None:
    (checkout.root / ".git").rename(checkout.root / "no-git")
    assert checkout.run() == 0
    assert checkout.run() == 0
    assert checkout.checks == 2
    assert "cannot be compared" in checkout.lines[0]


def test_the_command_runs_in_the_working_directory(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout.root)
    environment = {"CDK_OUTDIR": "cdk.out", aws_names.ENV_RELEASE: RELEASE}
    command = list(COMMAND)
    assert main(command, environment) == 0
    assert main(command, environment) == 0
    assert checkout.checks == 1
    assert "were green in execution" in capsys.readouterr().err
    assert main([], environment) == ExitCode.USAGE
    assert main(command, {}) == ExitCode.USAGE
