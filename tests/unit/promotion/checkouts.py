"""An execution's checkout, the remote behind it and the author beside it, in real git."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from prompt_hub.evaluation.results import FolderResults, Results
from prompt_hub.evaluation.session import Evaluator
from prompt_hub.llm.client import ModelClient
from prompt_hub.llm.config import ModelAliases, ModelConfig
from prompt_hub.promotion.git_promotion import Checkout
from prompt_hub.promotion.promoter import Promoter, Promotion
from prompt_hub.promotion.write_back import StageWord
from prompt_hub.repository.reader import PromptRepository
from tests.unit.building import (
    RepositoryFolder,
    catalogue_answer,
)
from tests.unit.kept_folder import KeptFolder
from tests.unit.providers import ALIASES, Backend, FunctionProvider


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Author", "-c", "user.email=author@example.com", *arguments],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass(frozen=True)
class World:
    """A remote, an author's clone of it, and the results of evaluations."""

    folder: Path
    author: RepositoryFolder
    results: Results

    @property
    def remote(self) -> Path:
        return self.folder / "remote.git"

    def push(self, message: str) -> str:
        git(self.author.root, "add", "--all")
        git(self.author.root, "commit", "--quiet", "-m", message)
        git(self.author.root, "push", "--quiet", "origin", "HEAD:main")
        return git(self.author.root, "rev-parse", "HEAD")

    def evaluated(
        self,
        execution: str,
        commit: str,
        answer: Backend = catalogue_answer,
        aliases: ModelAliases = ALIASES,
        waits_in: str | None = None,
    ) -> Path:
        """A clone at `commit` with a record of every task, as the Promote action finds it."""
        clone = self.folder / execution
        git(self.folder, "clone", "--quiet", str(self.remote), str(clone))
        git(clone, "checkout", "--quiet", "--detach", commit)
        if waits_in:
            Checkout(clone).take_waiting(waits_in)
        repository = PromptRepository(clone)
        evaluator = Evaluator(
            repository,
            ModelClient(aliases, FunctionProvider(answer)),
            self.results,
            execution=execution,
            commit=commit,
            say=lambda line: None,
        )
        for task in repository.tasks():
            asyncio.run(evaluator.evaluate(task))
        return clone

    def promote(
        self,
        execution: str,
        say: Callable[[str], None] = lambda line: None,
        stage_words: Callable[[], Sequence[StageWord]] = tuple,
        waits_in: str | None = None,
    ) -> Promotion:
        promoter = Promoter(
            Checkout(self.folder / execution),
            self.results,
            execution=execution,
            branch="main",
            waits_in=waits_in,
            stage_words=stage_words,
            say=say,
        )
        return promoter.run(push=True)

    def head(self) -> str:
        return git(self.remote, "rev-parse", "refs/heads/main")


def world_in(folder: Path) -> World:
    return World(folder, RepositoryFolder(folder / "repository"), FolderResults(folder / "results"))


def new_world(built: Path, folder: Path) -> World:
    """A remote with nothing in it, and the author who will push to it."""
    world = world_in(folder)
    root = shutil.copytree(built, world.author.root)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(world.remote))
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "remote", "add", "origin", str(world.remote))
    (root / ".gitignore").write_text(".prompt-hub/\n", encoding="utf-8")
    return world


def copied(world: World, folder: Path) -> World:
    """A world of the test's own; its clones know the remote by its whole path."""
    was, now = os.fsencode(world.folder), os.fsencode(folder)
    _kept(world.folder).write(
        folder,
        lambda name, content: (
            content.replace(was, now) if name.endswith("/.git/config") else content
        ),
    )
    return world_in(folder)


_kept = cache(KeptFolder.read)
"""No test writes to a world that others copy."""


@pytest.fixture(scope="session")
def first_world(built: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    return new_world(built, tmp_path_factory.mktemp("world"))


@pytest.fixture
def world(first_world: World, tmp_path: Path) -> World:
    return copied(first_world, tmp_path)


OTHER_MODEL = ModelAliases(
    {
        alias: ModelConfig(alias=alias, provider="openai", model="small-model-2026-09")
        for alias in ("catalogue-pinned", "catalogue-latest")
    }
)
