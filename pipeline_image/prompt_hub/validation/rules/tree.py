"""Rules about the tree as a whole: names of files, and what no file may hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from re import fullmatch

from prompt_hub.core.git import added_and_removed
from prompt_hub.repository.documents import Problem, closest
from prompt_hub.repository.reader import (
    ARCHIVE,
    BOT_LAYERS,
    EVALS,
    EXAMPLES,
    HUMAN_LAYERS,
    METADATA,
    PRODUCTION,
    REGISTRY,
    REVIEWS,
    TEMPLATES,
)
from prompt_hub.repository.schema import TASK_PATTERN, VERSION_PATTERN
from prompt_hub.validation.rules.base import Rule, tree_rule
from prompt_hub.validation.tree import Tree


@tree_rule("secret")
def _no_secrets(tree: Tree) -> Iterator[Problem]:
    """No file holds anything that looks like a key.

    Revoke the key, and take it out of git's history too.
    """
    for file, keys in tree.keys.items():
        for line, column, name in keys:
            expected = "no key in the repository: revoke it, and take it out of git's history too"
            yield Problem(file, line, column, "", f"what looks like {name}", expected)


_ENDINGS = {
    TEMPLATES: set[str](),
    EXAMPLES: {".jsonl", ".yaml"},
    PRODUCTION: {".yaml"},
    METADATA: {".yaml"},
    EVALS: {".json", ".jsonl"},
    ARCHIVE: {".yaml"},
}
"""The endings of a layer's files; templates and their building blocks may have any."""


@tree_rule("file-name")
def _names_are_tasks(tree: Tree) -> Iterator[Problem]:
    """Files lie where their layer looks for them, named after a task.

    Rename or move the file as it is expected, or delete it: nothing ever reads it there.
    """
    for found_path in sorted(tree.repository.root.glob("prompt_registry*")):
        if found_path.name != REGISTRY:
            yield Problem(found_path.name, 1, 1, "", "a second registry", f"{REGISTRY} alone")
    named = frozenset().union(*(files.named for files in tree.tasks.values()))
    all_known = all(files.metadata for files in tree.tasks.values())
    for file in tree.files:
        path = PurePosixPath(file)
        if path.parts[0] != "prompts" or path.name == "README.md":
            continue
        yield from _misnamed(file, path)
        beside_examples = path.parts[1] == EXAMPLES and path.suffix == ".yaml"
        if beside_examples and all_known and file not in named:
            found = "a prompt beside the examples that no metadata names"
            yield Problem(file, 1, 1, "", found, "a candidate, or drafts in 00-templates")


def _misnamed(file: str, path: PurePosixPath) -> Iterator[Problem]:
    layers = (*HUMAN_LAYERS, *BOT_LAYERS)
    layer = path.parts[1]
    if layer not in layers or len(path.parts) == 2:
        found = f"{layer!r}, which is no layer of prompts/"
        expected, meant = f"one of: {', '.join(sorted(layers))}", closest(layer, layers)
        yield Problem(file, 1, 1, "", found, expected, suggestion=meant)
        return
    if layer == TEMPLATES:
        return
    nested = layer in {EVALS, ARCHIVE}
    task = path.parts[2] if nested else path.stem
    review = layer == EVALS and len(path.parts) == 5 and path.parts[3] == REVIEWS
    if len(path.parts) != (5 if review else 4 if nested else 3):
        shape = f"prompts/{layer}/TASK/VERSION" if nested else f"prompts/{layer}/TASK"
        yield Problem(file, 1, 1, "", "a file in this folder", f"{shape}{path.suffix}")
    elif path.suffix not in _ENDINGS[layer]:
        endings = " or ".join(sorted(_ENDINGS[layer]))
        meant = closest(path.suffix, _ENDINGS[layer])
        found = f"the ending {path.suffix!r}"
        yield Problem(file, 1, 1, "", found, endings, suggestion=meant)
    elif not fullmatch(TASK_PATTERN, task):
        expected = "lower-case words joined by hyphens"
        yield Problem(file, 1, 1, "", f"the task name {task!r}", expected)
    elif layer == ARCHIVE and not fullmatch(VERSION_PATTERN, path.stem):
        yield Problem(file, 1, 1, "", f"the version {path.stem!r}", "a version such as 1.2.0")


@tree_rule("evidence-kept")
def _evidence_is_kept(tree: Tree) -> Iterator[Problem]:
    """Every evaluation that git has had of a task is still there: promotion only adds to 04-evals.

    Bring the files back: `git log --diff-filter=D -- FILE` says which commit removed one, and `git
    checkout COMMIT^ -- FILE` brings it back. Where a commit of promotion was reverted, bring back
    the registry and the layers too; a version is taken back by `prompt-hub promote downgrade`. A
    task that begins anew by an old name is another one, once a commit has removed all of the old.
    """
    repository = tree.repository
    begun_anew: set[str] = set()
    lost: set[str] = set()
    for file, added in added_and_removed(
        repository.root, f"prompts/{METADATA}", f"prompts/{EVALS}"
    ):
        path = PurePosixPath(file)
        if path.parts[1] == METADATA:
            if not added:
                begun_anew.add(path.stem)
            continue
        if not added or len(path.parts) != 4 or not fullmatch(VERSION_PATTERN, path.stem):
            continue
        files = None if path.parts[2] in begun_anew else tree.tasks.get(path.parts[2])
        if files is None or (repository.root / path).exists():
            continue
        if files.registered is None or path.stem not in files.registered.versions:
            # Of what is registered the rules of the registry say it.
            lost.add(file)
    for file in sorted(lost):
        yield Problem(
            file, 1, 1, "", "no file, though git has had it", "what promotion wrote there"
        )


TREE_RULES: tuple[Rule[Tree], ...] = (
    _no_secrets,
    _names_are_tasks,
    _evidence_is_kept,
)
