"""The tests of the code run again when code, tools or command change, and on any doubt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from prompt_hub.core import aws_names
from prompt_hub.core.errors import ExitCode
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults, Results
from prompt_hub.release.code_tests import (
    CodeTests,
    GreenRun,
    code_of,
    installed_tools,
    is_code,
    main,
)
from prompt_hub.repository.json import parse_model
from tests.unit.kept_folder import KeptFolder
from tests.unit.release.no_bucket import NoBucket, no_client

ROOT = Path(__file__).parents[3]
TOOLS = {"python": "CPython 3.13.0", "pytest": "9.0.0"}
FILES = {
    ".gitignore": ".prompt-hub/\n",
    "README.md": "A shop's prompts.\n",
    "docs/gate.md": "The gate.\n",
    "docs/index.py": "PAGES = 1\n",
    "findings/README.md": "Findings.\n",
    "findings/count.py": "print(1)\n",
    "pipeline_image/tool.py": "ANSWER = 42\n",
    "requirements.txt": "pydantic==2.0\n",
    "scorers/own.py": "def score(): ...\n",
    "tests/passing.py": "open('runs.log', 'a').write('x')\n",
    "prompt_registry.yaml": "schema: prompt-hub/registry@1\n",
    "prompts/.gitattributes": "* text\n",
    "prompts/00-templates/a.yaml": "a\n",
    "prompts/01-examples/a.jsonl": "{}\n",
    "prompts/02-production/a.yaml": "a\n",
    "prompts/03-metadata/a.yaml": "a\n",
    "prompts/04-evals/a/1.0.0.json": "{}\n",
    "prompts/99-archive/a/1.0.0.yaml": "a\n",
    "prompts/note.txt": "nobody has thought of this\n",
}
PROMPTS_AND_PAGES = (
    "README.md",
    "docs/gate.md",
    "findings/README.md",
    "prompt_registry.yaml",
    "prompts/00-templates/a.yaml",
    "prompts/01-examples/a.jsonl",
    "prompts/02-production/a.yaml",
    "prompts/03-metadata/a.yaml",
    "prompts/04-evals/a/1.0.0.json",
    "prompts/99-archive/a/1.0.0.yaml",
)
CODE = sorted(FILES.keys() - set(PROMPTS_AND_PAGES))


@dataclass
class Checkout:
    """A repository in git whose tests leave a mark of their own each time they run."""

    root: Path
    results: Results
    log: Path
    lines: list[str] = field(default_factory=list)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=Author", "-c", "user.email=author@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True)

    def run(
        self,
        code: str = "",
        *,
        tools: dict[str, str] | None = None,
        execution: str = "e1",
        results: Callable[[], Results] | None = None,
    ) -> int:
        """Run tests whose body is `code` after the line that says that they ran."""
        program = f"open({str(self.log)!r}, 'a').write('x')\n{code}"
        return CodeTests(
            self.root,
            # A hundred times: without the modules that a virtual environment would add.
            [sys.executable, "-E", "-S", "-c", program],
            results or (lambda: self.results),
            execution=execution,
            tools=TOOLS if tools is None else tools,
            say=self.lines.append,
        ).run()

    @property
    def runs(self) -> int:
        """How often the tests have run."""
        return len(self.log.read_text()) if self.log.exists() else 0

    @property
    def marks(self) -> list[Path]:
        """What is remembered."""
        return sorted((self.root / RESULTS_DIR).rglob("*.json"))


def checkout_in(folder: Path) -> Checkout:
    root = folder / "repository"
    return Checkout(root, FolderResults(root / RESULTS_DIR), folder / "runs.log")


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> KeptFolder:
    """The repository with its one commit, which every test writes for itself."""
    made = checkout_in(tmp_path_factory.mktemp("committed"))
    for name, text in FILES.items():
        made.write(name, text)
    made.git("init", "--quiet", "--template=")
    made.git("add", "--all")
    made.git("commit", "--quiet", "-m", "all")
    return KeptFolder.read(made.root)


@pytest.fixture
def checkout(committed: KeptFolder, tmp_path: Path) -> Checkout:
    made = checkout_in(tmp_path)
    committed.write(made.root)
    return made


@pytest.mark.processes
def test_everything_is_code_but_prompts_and_pages(checkout: Checkout) -> None:
    assert sorted(code_of(checkout.root)) == CODE


@pytest.mark.processes
def test_green_tests_are_not_run_again(checkout: Checkout) -> None:
    assert checkout.run(execution="e1") == 0
    assert checkout.run(execution="e2") == 0
    assert checkout.runs == 1
    message = checkout.lines[-1]
    assert message.startswith("tests: skipped, because this code (")
    assert "passed them in execution e1 at 20" in message


@pytest.mark.processes
def test_the_mark_says_what_ran_when_by_whom_and_with_what(checkout: Checkout) -> None:
    checkout.run(execution="e7")
    (path,) = checkout.marks
    green = parse_model(path.read_text("utf-8"), path.name, GreenRun, hint="")
    assert path.name == f"{green.digest}.json"
    assert green.command[0] == sys.executable
    assert (green.execution, green.files, green.tools) == ("e7", len(CODE), TOOLS)
    assert green.started_at <= green.finished_at
    assert len(green.commit) == 40


@pytest.mark.processes
@pytest.mark.parametrize("name", PROMPTS_AND_PAGES)
def test_a_changed_prompt_or_page_runs_no_test(checkout: Checkout, name: str) -> None:
    checkout.run()
    checkout.write(name, "changed\n")
    checkout.git("commit", "--quiet", "--all", "-m", "prompt")
    checkout.run()
    assert checkout.runs == 1


@pytest.mark.processes
@pytest.mark.parametrize("name", CODE)
def test_changed_code_runs_the_tests(checkout: Checkout, name: str) -> None:
    checkout.run()
    checkout.write(name, FILES[name] + "# changed\n")
    checkout.run()
    assert checkout.runs == 2
    assert "no green run of this code is remembered" in "\n".join(checkout.lines)


def change(checkout: Checkout, how: str) -> None:
    tool = checkout.root / "pipeline_image" / "tool.py"
    if how == "renamed":
        tool.rename(tool.with_name("other.py"))
        checkout.git("add", "--all")
    elif how == "deleted":
        checkout.git("rm", "--quiet", "pipeline_image/tool.py")
    elif how == "executable":
        tool.chmod(0o755)
    elif how == "untracked":
        checkout.write("pipeline_image/new.py", "NEW = 1\n")
    elif how == "linked":
        tool.with_name("link.py").symlink_to("tool.py")
    else:
        checkout.write("pipeline_image/tool.py", "A = 1\nANSWER = 42\n")
        tool.write_bytes(tool.read_bytes()[6:])  # the same size, the same bytes again
        os.utime(tool, (1, 1))


@pytest.mark.processes
@pytest.mark.parametrize("how", ["renamed", "deleted", "executable", "untracked", "linked"])
def test_what_else_is_a_change_of_code(checkout: Checkout, how: str) -> None:
    checkout.run()
    change(checkout, how)
    checkout.run()
    assert checkout.runs == 2


@pytest.mark.processes
def test_a_file_written_again_is_no_change(checkout: Checkout) -> None:
    checkout.run()
    change(checkout, "written again")
    checkout.run()
    assert checkout.runs == 1


@pytest.mark.processes
def test_other_tools_or_another_command_run_the_tests(checkout: Checkout) -> None:
    checkout.run()
    checkout.run(tools={**TOOLS, "pytest": "9.0.1"})
    checkout.run("pass")
    assert checkout.runs == 3


@pytest.mark.processes
def test_red_tests_are_never_remembered(checkout: Checkout) -> None:
    assert checkout.run("raise SystemExit(3)") == 3
    assert checkout.run("raise SystemExit(3)") == 3
    assert checkout.runs == 2
    assert checkout.marks == []


@pytest.mark.processes
def test_a_run_that_is_cut_short_is_never_remembered(checkout: Checkout) -> None:
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert checkout.run(killed) == -signal.SIGKILL
    assert checkout.marks == []


@pytest.mark.processes
def test_code_that_changes_while_tests_run_is_not_remembered(checkout: Checkout) -> None:
    assert checkout.run("open('pipeline_image/tool.py', 'a').write('B = 2')") == 0
    assert checkout.marks == []
    assert "files changed while they ran" in checkout.lines[-1]


def torn(text: str) -> str:
    return text[: len(text) // 2]


def of_another_run(text: str) -> str:
    return json.dumps({**json.loads(text), "digest": "0" * 64})


def of_another_command(text: str) -> str:
    return json.dumps({**json.loads(text), "command": ["true"]})


@pytest.mark.processes
@pytest.mark.parametrize("damage", [torn, of_another_run, of_another_command, lambda text: ""])
def test_a_mark_that_says_something_else_lets_the_tests_run(
    checkout: Checkout, damage: Callable[[str], str]
) -> None:
    checkout.run()
    (mark,) = checkout.marks
    whole = mark.read_text("utf-8")
    mark.write_text(damage(whole), encoding="utf-8")
    assert checkout.run() == 0
    assert checkout.runs == 2
    assert json.loads(mark.read_text("utf-8"))["digest"] == json.loads(whole)["digest"]


@pytest.mark.processes
@pytest.mark.parametrize("results", [NoBucket, no_client])
def test_without_a_bucket_the_tests_run_and_their_result_counts(
    checkout: Checkout, results: Callable[[], Results]
) -> None:
    assert checkout.run(results=results) == 0
    assert checkout.run("raise SystemExit(1)", results=results) == 1
    assert checkout.runs == 2
    assert any("tests: run (" in line and "because" in line for line in checkout.lines)
    assert any("tests: green, but not remembered:" in line for line in checkout.lines)


@pytest.mark.processes
def test_where_git_knows_nothing_the_tests_run(checkout: Checkout) -> None:
    (checkout.root / ".git").rename(checkout.root / "no-git")
    assert checkout.run() == 0
    assert checkout.run() == 0
    assert checkout.runs == 2
    assert "the code could not be listed" in checkout.lines[0]
    assert checkout.marks == []


@pytest.mark.processes
def test_a_folder_that_the_repository_around_it_ignores_is_never_skipped(
    checkout: Checkout,
) -> None:
    (checkout.root / ".git").rename(checkout.root.parent / ".git")
    (checkout.root.parent / ".gitignore").write_text("*\n", encoding="utf-8")
    assert checkout.run() == 0
    assert checkout.run() == 0
    assert checkout.runs == 2
    assert "git lists no file" in checkout.lines[0]


@pytest.mark.processes
def test_the_command_runs_in_the_working_directory(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout.root)
    command = [sys.executable, "-c", f"open({str(checkout.log)!r}, 'a').write('x')"]
    environment = {aws_names.ENV_EXECUTION: "e3"}
    assert main(command, environment) == 0
    assert main(command, environment) == 0
    assert checkout.runs == 1
    assert "passed them in execution e3" in capsys.readouterr().out
    assert main([], environment) == ExitCode.USAGE


def test_the_tools_are_python_and_every_package() -> None:
    tools = installed_tools()
    assert tools["pytest"] == pytest.__version__
    assert sys.version.split()[0] in tools["python"]


@pytest.mark.parametrize(
    "path",
    ["pyproject.toml", "tests/unit/test_docs.py", "prompts/.schemas/prompt.json", "LICENSE",
     "docs/decision_index.py", "docs/picture.svg", "prompts/00-templates.md", "CONTRIBUTING.md",
     "pipeline_image/README.md"],
)  # fmt: skip
def test_what_comes_close_to_a_page_or_a_prompt_is_code(path: str) -> None:
    assert is_code(path)


@pytest.mark.processes
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs this repository in git")
def test_this_repositorys_own_code_is_listed() -> None:
    code = code_of(ROOT)
    assert {"pipeline_image/prompt_hub/release/code_tests.py", "requirements.txt"} <= code.keys()
    assert not any(name.startswith("prompts/0") for name in code)
