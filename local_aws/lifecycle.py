"""The whole lifecycle, told while it happens: a push becomes a served prompt, a bad one goes back.

Everything is done the way a user of AWS does it: the CDK command line, git, the service's HTTP
interface, the product's own commands. This module only starts them, watches and tells.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import yaml

from local_aws import upgrade
from local_aws.countdown import Countdown
from local_aws.executions import Executions, only_verdict
from local_aws.figures import side_by_side
from local_aws.processes import LocalRunError
from local_aws.provider import behind
from local_aws.regression import TASK, Regression
from local_aws.run_report import Story, now, say
from local_aws.stack import HUB, STAGE, LocalStack
from local_aws.stack_reader import Json, Observer
from local_aws.versions import order_of, version_in

_TITLES = {
    "run": "Prompt Hub: the whole lifecycle on this machine",
    "push": "Prompt Hub: one more push on this machine",
    "pushes": "Prompt Hub: two pushes in quick succession on this machine",
}
"""Of the report page, by its name."""


class Lifecycle:
    """One run of the lifecycle on one local stack."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.observer = Observer(stack)
        self.story = Story(
            _TITLES["run"],
            Countdown(stack.state / "seconds.json"),
        )
        self.executions = Executions(stack, self.observer, self.story)
        self.regression = Regression(stack, self.observer, self.story, self._remember)
        self._demo = stack.root / "local_aws" / "demo"
        self._told = stack.state / "told.json"
        self._deployed = stack.state / "deployed.json"

    # --- commands ------------------------------------------------------------------------------

    def up(self) -> None:
        """Run everything, from an empty machine to a rolled-back prompt.

        Where an earlier run has told the story already, a further push shows instead that nothing
        is paid for twice and that a quarantined version stays out. Of a checkout that was brought
        up to date meanwhile, the newer release is pushed.
        """
        self._require_the_example()
        if not self._told.exists():
            self._show_released()
        self._start()
        first = not self._told.exists() and not self._rolled_back_meanwhile()
        if first:
            self._deploy()
            self._first_push()
            self._serve()
            known = self.observer.executions()
            self.regression.run()
            self._follow_into_git(known)
        else:
            commit = upgrade.unreleased(self.stack)
            if commit is None:
                self._further_push()
            else:
                self._upgrade(commit)
            self._serve()
            self._remember()
        self._finish("run" if first else "push")

    def push_twice(self) -> None:
        """Two pushes in quick succession, each promoting another task; both must be active."""
        if not self._told.exists():
            raise LocalRunError("this builds on a finished run; run `make up` first.")
        self._start()
        with self.story.step(
            "Two pushes in quick succession, each promoting another task"
        ) as lines:
            before = self.observer.executions()
            for number, name in enumerate(("second-push", "third-push"), start=1):
                commit = self._author_push(name, f"Author's {name.replace('-', ' ')}")
                if commit is None:
                    raise LocalRunError(
                        f"{name} was pushed by an earlier run; `make clean` and `make up` first."
                    )
                say(lines, f"pushed {name} as {commit[:8]}")
                # The second push finds the first one's execution under way.
                self.executions.await_started(before, number)
            for execution in self.executions.await_quiet(before, lines):
                self.executions.note_end(execution)
        with self.story.step("Both versions must be released and active") as lines:
            active = self.observer.tasks()
            wanted = self._demo_versions(("second-push", "third-push"))
            for task, version in wanted.items():
                say(lines, f"{task}: active {active[task]['version']}, pushed {version}")
                if active[task]["version"] != version:
                    raise LocalRunError(f"{task} serves {active[task]['version']}, not {version}.")
            self.story.pointers = self.observer.pointers()
        self._finish("pushes")

    def push_again(self, lines: list[str]) -> set[str]:
        """Push a comment, unless an earlier run has and its execution goes on.

        Returns the executions that are not to be waited for.
        """
        demo = str(self.stack.demo)
        pushed = self.stack.git("-C", demo, "rev-parse", "HEAD") if self.stack.demo.exists() else ""
        before = self.observer.executions()
        newest = next(iter(self.observer.running(set())), None)
        if newest is not None and self.observer.runs(newest, pushed):
            say(lines, f"pushed {pushed[:8]} already, by a run that did not end")
            return before - {newest}
        clone = self.stack.clone(self.stack.demo)
        metadata = clone / "prompts" / "03-metadata" / f"{TASK}.yaml"
        text = metadata.read_text(encoding="utf-8")
        metadata.write_text(f"{text.rstrip()}\n# looked at {now()}\n", encoding="utf-8")
        commit = self.stack.push("Look at the metadata again")
        assert commit is not None, "the metadata names the time"
        say(lines, f"pushed {commit[:8]}")
        return before

    # --- steps ---------------------------------------------------------------------------------

    def _require_the_example(self) -> None:
        """Raise `LocalRunError` in a repository that has other stages or tasks than the story."""
        stages = [each["name"] for each in cast("list[Json]", self.stack.settings["stages"])]
        lacks = [] if STAGE in stages else [f"cdk.json has no stage {STAGE}"]
        examples = self.stack.root / "prompts" / "01-examples"
        lacks += [
            f"prompts has no task {task}"
            for task in self._demo_versions(("first-push",))
            if not (examples / f"{task}.jsonl").exists()
        ]
        if not lacks and not self._told.exists():
            lacks = self._gone_on()
        if lacks:
            raise LocalRunError(
                "`make up` tells a story of the example that Prompt Hub ships, and here"
                f" {', '.join(lacks)}. Run it in a clone of Prompt Hub as it is; `make demo`,"
                " `prompt-hub evaluate` and `prompt-hub dev` do without the example."
            )

    def _gone_on(self) -> list[str]:
        """Say which of the story's tasks are not those that its first push is written for."""
        layers, written = self.stack.root / "prompts", self._demo / "first-push" / "prompts"
        found = []
        for task, version in self._demo_versions(("first-push",)).items():
            released = layers / "02-production" / f"{task}.yaml"
            own = layers / "03-metadata" / f"{task}.yaml"
            if released.exists():
                there = version_in(released.read_text(encoding="utf-8"))
                if order_of(there) >= order_of(version):
                    found.append(f"{task} is {there} already, and the story releases {version}")
            if own.exists() and _stamp(own) != _stamp(written / "03-metadata" / own.name):
                found.append(f"examples or contracts of {task} are others")
        return found

    def _start(self) -> None:
        with self.story.step("Models, and a local AWS, on loopback") as lines:
            fresh = self.stack.start()
            say(
                lines,
                f"{'started' if fresh else 'running already'}: model at"
                f" {self.stack.model_url}, AWS at {self.stack.endpoint}",
            )
            # Printed alone: whoever has the page of this run is not to get in by it.
            print(f"    watch it in a browser: {self.stack.console_url}", flush=True)

    def _show_released(self) -> None:
        """Tell what is released, and make its pages: something to look at from the first minute."""
        prompts = self.stack.root / "prompts"
        with self.story.step("What is released, by the evaluations that git keeps") as lines:
            for released in sorted((prompts / "02-production").glob("[!.]*.yaml")):
                task, version = released.stem, version_in(released.read_text(encoding="utf-8"))
                kept = prompts / "04-evals" / task / f"{version}.json"
                record = json.loads(kept.read_text(encoding="utf-8"))
                score, least = side_by_side(record["candidate"]["score"], record["threshold"])
                page = self.stack.state / f"released-{task}.html"
                files = ("--record", str(kept), "--html", str(page))
                self.stack.run([*HUB, "report", "evaluation", task, *files], quiet=True)
                say(
                    lines,
                    f"{task} {version}: score {score} · threshold {least}"
                    f" · every example: open {page}",
                )

    def _deploy(self) -> None:
        with self.story.step(
            "cdk bootstrap, cdk deploy of the pipeline: the unmodified app"
        ) as lines:
            if self._deployed.exists():
                say(lines, "deployed by an earlier run")
                return
            self.stack.make_remote()
            # What the console shows of git is read there.
            self.stack.clone(self.stack.author)
            cdk = str(self.stack.root / "node_modules" / ".bin" / "cdk")
            account = f"aws://{self.stack.overrides['AWS_ACCESS_KEY_ID']}/{self.stack.region}"
            began = time.monotonic()
            # Outside the app's folder, where it would be synthesised for nothing.
            self.stack.run([cdk, "bootstrap", account], quiet=True, cwd=self.stack.state)
            say(lines, f"cdk bootstrap: {time.monotonic() - began:.1f} s")
            began = time.monotonic()
            pipeline = f"{self.stack.installation}-pipeline"
            how = ("--require-approval", "never", "--output", str(self.stack.state / "cdk.out"))
            self.stack.run([cdk, "deploy", pipeline, *how], quiet=True)
            say(lines, f"cdk deploy {pipeline}: {time.monotonic() - began:.1f} s")
            self._deployed.write_text(json.dumps({"at": now()}), encoding="utf-8")

    def _first_push(self) -> None:
        with self.story.step("An author commits two prompt changes and pushes") as lines:
            before = self.observer.executions()
            commit = self._author_push("first-push", "Better part classes, a shorter brand prompt")
            for task, version in self._demo_versions(("first-push",)).items():
                say(lines, f"{task}: candidate {version}")
            if commit is None:
                before = self._go_on(before)
                say(lines, "pushed already, by a run that did not end")
            else:
                branch = self.stack.branch
                say(lines, f"pushed {commit[:8]} to {branch}: the pipeline starts by itself")
        with self.story.step("CodePipeline, as CDK synthesised it") as lines:
            execution = self.executions.await_execution(before, lines)
            green = self.executions.require_green(execution, or_blocked=True)
            if green and commit is not None:
                raise LocalRunError(
                    "the execution ended green, but one candidate should have been blocked."
                )
            if not green:
                why = (
                    "the execution ends red, as designed: a candidate was blocked, and nobody"
                    " may overlook that. Everything else is released."
                )
                say(lines, why)
                self.story.expected_red(f"{why[0].upper()}{why[1:]}")
        with self.story.step("The verdicts, by real scores") as lines:
            self.executions.tell_verdicts(execution, lines)

    def _go_on(self, known: set[str]) -> set[str]:
        """Take up the newest execution of an earlier run, or start one anew where it broke.

        Returns the executions that are not to be waited for.
        """
        newest = next(iter(self.observer.running(set())), None)
        if newest is not None:
            status = self.observer.status(newest)
            if status in {"InProgress", "Succeeded"} or only_verdict(self.observer.failed(newest)):
                return known - {newest}
        self.stack.pipelines.start_pipeline_execution(name=self.stack.installation)
        return known

    def _remember(self) -> None:
        """Note that the story is told: what comes after it may build on that."""
        self._told.write_text(json.dumps({"at": now()}), encoding="utf-8")

    def _rolled_back_meanwhile(self) -> bool:
        """Whether a run that did not end came as far as the rollback, or its score watch did."""
        return self._deployed.exists() and self.observer.rolled_back(TASK)

    def _upgrade(self, commit: str) -> None:
        with self.story.step(
            "The checkout is newer than the stage: it is merged and pushed"
        ) as lines:
            self.observer.await_service()
            before = self.observer.executions()
            say(lines, f"pushed {upgrade.push(self.stack, commit)[:8]}, with {commit[:8]} in it")
            execution = self.executions.await_execution(before, lines)
            self.executions.require_green(execution, or_blocked=True)
        with self.story.step("The verdicts, by real scores") as lines:
            self.executions.tell_verdicts(execution, lines)

    def _further_push(self) -> None:
        with self.story.step(
            "Another push: nothing is paid for twice, the quarantined stays out"
        ) as lines:
            self.observer.await_service()
            before = self.observer.executions()
            remembered = self.observer.remembered()
            out = quarantined(self.observer.version_states(TASK))
            execution = self.executions.await_execution(self.push_again(lines), lines)
            if execution in before:
                # It was under way: what is remembered may be what it has paid for itself.
                remembered = set()
            # What an author pushed while nothing ran, or before an end of it, is judged only now.
            self.executions.require_green(execution, or_blocked=True)
            for task in self.observer.task_names():
                record = self.observer.record(execution, task)
                calls = self.executions.paid_calls(record)
                verdict = cast(Json, record["verdict"])
                say(lines, f"{task} {record['version']}: {verdict['status']}, {calls} model calls")
                if calls and record["digest"] in remembered:
                    raise LocalRunError(f"{task} was evaluated again with unchanged inputs.")
            active = str(self.observer.tasks()[TASK]["version"])
            if active in out:
                raise LocalRunError(f"{TASK} serves {active} again, which was quarantined.")
            say(lines, stayed_out(TASK, active, self.observer.version_states(TASK)))
        with self.story.step("The verdicts, by real scores") as lines:
            self.executions.tell_verdicts(execution, lines)

    def _serve(self) -> None:
        with self.story.step("The running service answers") as lines:
            ours = self._demo_versions(("first-push",))
            for task in sorted(self.observer.tasks()):
                try:
                    answer = self.observer.ask(task)
                except LocalRunError as error:
                    if task in ours:  # of others it is their prompts that decide
                        raise
                    say(lines, f"{task}: {error}")
                    continue
                say(
                    lines,
                    f"{task} {answer['version']} (sha256 {str(answer['sha256'])[:12]}, release"
                    f" {answer['release']}, {answer['model']}): {json.dumps(answer['output'])}",
                )
            self.story.pointers = self.observer.pointers()
        with self.story.step("run_pipeline.py: a CSV of raw records becomes JSONL") as lines:
            output = self.stack.state / "records.jsonl"
            output.unlink(missing_ok=True)
            self.stack.run(
                [
                    sys.executable,
                    "pipeline_image/run_pipeline.py",
                    TASK,
                    str(self._demo / "records.csv"),
                    str(output),
                    "--service",
                    self.observer.url,
                ],
                quiet=True,
                # It lists its runs where it runs: those of the checkout are their owner's.
                extra={"PROMPT_HUB_ROOT": str(self.stack.demo)},
            )
            records = output.read_text(encoding="utf-8").splitlines()
            for line in records[:3]:
                record = json.loads(line)
                say(
                    lines,
                    f"{record['input']['part_number']}: {json.dumps(record['output'])}"
                    f"  by {record['task']} {record['version']}",
                )
            say(lines, f"{len(records)} records in {output}")

    def _follow_into_git(self, known: set[str]) -> None:
        """Wait for the execution that the rollback's event starts, and for what it commits."""
        with self.story.step("The rollback reaches git: its event starts the pipeline") as lines:
            self.executions.await_started(known, 1)
            execution = self.executions.await_execution(known, lines)
            self.executions.require_green(execution)
            clone = str(self.stack.clone(self.stack.demo))
            subject = self.stack.git("-C", clone, "log", "-1", "--format=%an: %s").strip()
            if not subject.startswith(f"prompt-hub: Roll back {TASK} "):
                raise LocalRunError(f"the newest commit is {subject!r}, and no rollback.")
            say(lines, subject)

    def _finish(self, name: str) -> None:
        self.story.title = _TITLES[name]
        with self.story.step("The report page") as lines:
            run = self.stack.state / f"{name}.json"
            page = self.stack.state / f"{name}.html"
            self.story.write(run)
            self.stack.run([*HUB, "report", "run", str(run), "--html", str(page)], quiet=True)
            say(lines, f"open {page}")
        try:
            self.stack.clone(self.stack.author)
            clone = "change a prompt here and push"
        except LocalRunError:
            clone = "it could not be brought up to date: `git status` there says what is in the way"
        print(f"\nDone in {self.story.seconds:.0f} s. Everything keeps running:", flush=True)
        print(f"  console  {self.stack.console_url}")
        print(f"  service  {self.observer.url}/v1/tasks")
        print(f"  AWS      {self.stack.endpoint}")
        print(f"  model    {self.stack.model_url}/v1: {behind(self.stack)}")
        print(f"  clone    {self.stack.author}: {clone}")
        print(f"  mail     {self.stack.mail}: what people would have been sent")
        print(f"  shell    . {self.stack.shell_file}: prompt-hub and aws then work on all this")
        print(
            "`make status` says what is served and what runs; `make up` again pushes once more;"
            " `make down` stops it; `make clean` removes it."
        )

    # --- the author ----------------------------------------------------------------------------

    def _author_push(self, name: str, message: str) -> str | None:
        clone = self.stack.clone(self.stack.demo)
        shutil.copytree(self._demo / name, clone, dirs_exist_ok=True)
        return self.stack.push(message)

    def _demo_versions(self, pushes: Sequence[str]) -> dict[str, str]:
        versions = {}
        for push in pushes:
            for path in sorted((self._demo / push / "prompts" / "03-metadata").glob("*.yaml")):
                versions[path.stem] = version_in(path.read_text(encoding="utf-8"))
        return versions


def quarantined(states: Mapping[str, str]) -> list[str]:
    """Return the versions that may not come back, by the ledger's states of a task."""
    return [version for version, state in states.items() if state == "quarantined"]


def stayed_out(task: str, active: str, states: Mapping[str, str]) -> str:
    """Say, by the ledger's states, which versions of `task` a push has not brought back."""
    out = quarantined(states)
    if not out:
        return f"{task} serves {active}; none of its versions is quarantined here"
    return f"{task} serves {active}: quarantined and not back: {', '.join(out)}"


def _stamp(metadata: Path) -> object:
    """Return what a task's metadata say of its examples and contracts."""
    return yaml.safe_load(metadata.read_text(encoding="utf-8")).get("up_to_date")
