"""Files of other tools, told apart by what they hold, as one task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

from prompt_hub.authoring.importing.assembling import assembled
from prompt_hub.authoring.importing.documents import (
    Node,
    Source,
    broken,
    parsed_json,
    parsed_records,
    text_in,
)
from prompt_hub.authoring.importing.form import (
    Choices,
    Draft,
    Imported,
    UnusablePromptError,
    note_next_pages,
)
from prompt_hub.authoring.importing.formats import (
    dotprompt,
    langfuse,
    mlflow,
    openai_eval,
    openai_prompt,
    prompty,
)
from prompt_hub.authoring.importing.messages import chosen
from prompt_hub.authoring.importing.notes import Notes
from prompt_hub.authoring.importing.rows import Reference, Row, rows_of
from prompt_hub.core.errors import ExitCode, PromptHubError

Format = Literal[
    "openai-prompt",
    "openai-eval",
    "langfuse",
    "mlflow",
    "prompty",
    "dotprompt",
    "promptfoo",
    "rows",
]
"""What a file may be; `rows` are data to be labelled, beside a prompt."""
FORMATS: tuple[Format, ...] = get_args(Format)
_PROMPTS: dict[Format, tuple[str, Callable[[Node, Notes], Draft]]] = {
    "openai-prompt": ("the prompt", openai_prompt.openai_prompt),
    "langfuse": ("the version", langfuse.langfuse),
    "mlflow": ("the version", mlflow.mlflow),
}
_PAGES: dict[Format, Callable[[Path, Notes], Draft]] = {
    "prompty": prompty.prompty,
    "dotprompt": dotprompt.dotprompt,
}
_BY_NAME: dict[str, Format] = {
    ".prompty": "prompty",
    ".prompt": "dotprompt",
    ".jsonl": "rows",
    ".yaml": "promptfoo",
    ".yml": "promptfoo",
}
_BY_KEYS: tuple[tuple[frozenset[str], Format], ...] = (
    (frozenset(("testing_criteria",)), "openai-eval"),
    (frozenset(("data_source", "eval_id")), "openai-eval"),
    (frozenset(("item",)), "rows"),
    (frozenset(("datasource_item",)), "rows"),
    (frozenset(("input", "expected")), "rows"),
    (frozenset(("prompts", "tests")), "promptfoo"),
    (frozenset(("template", "name")), "mlflow"),
    (frozenset(("tags", "name", "version", "source")), "mlflow"),
    (frozenset(("prompt", "name")), "langfuse"),
    (frozenset(("instructions",)), "openai-prompt"),
    (frozenset(("model", "input")), "openai-prompt"),
    (frozenset(("model", "messages")), "openai-prompt"),
    (frozenset(("id", "messages")), "openai-prompt"),
)
"""Keys by which a file in JSON is known; the first line whose keys are all there counts."""


def imported(paths: Sequence[Path], choices: Choices, given: Format | None = None) -> Imported:
    """Import files that belong together: one prompt, and what evaluates it.

    Args:
        paths: the files.
        choices: what the author says about the task.
        given: what the first file is; by default its name or its keys tell.

    Raises:
        InvalidDocumentsError: a file cannot be read, or says what cannot be said here.
        PromptHubError: nothing in them is usable; says why, with everything that was found.
    """
    notes = Notes()
    drafts: list[Draft] = []
    rows: list[Row] = []
    references: list[Reference] = []
    lists: list[Node] = []
    for index, path in enumerate(paths):
        format_, node = _recognised(path, given if index == 0 else None)
        if format_ == "promptfoo":
            if len(paths) > 1:
                hint = "Name it alone: it names the files that belong to it."
                raise PromptHubError(f"{path.name} is a promptfoo configuration.", hint=hint)
            from prompt_hub.authoring.promptfoo import importing

            return importing.imported(path, choices)
        if format_ in _PAGES:
            drafts.append(_PAGES[format_](path, notes))
        elif format_ in _PROMPTS:
            what, read = _PROMPTS[format_]
            drafts.append(read(chosen(node, choices.prompt, notes, what), notes))
        elif format_ == "rows":
            rows += rows_of(node, notes)
            lists.append(node)
        else:
            draft, found, graders = openai_eval.evaluation_of(node, notes)
            drafts += [draft] if draft is not None else []
            rows += found
            references += graders
    note_next_pages(lists, notes)
    return assembled(_only(drafts, paths), rows, references, choices, notes)


def _only(drafts: Sequence[Draft], paths: Sequence[Path]) -> Draft:
    if len(drafts) == 1:
        return drafts[0]
    names = ", ".join(path.name for path in paths)
    if drafts:
        places = " and ".join(draft.place[0] for draft in drafts[:2])
        raise PromptHubError(
            f"two prompts: {places}.", hint="Name one prompt; each becomes a task of its own."
        )
    raise PromptHubError(
        f"there is no prompt in {names}.",
        hint="Name its prompt beside it: for an eval a stored prompt, or a run of the eval.",
        exit_code=ExitCode.BLOCKED,
    )


def _recognised(path: Path, given: Format | None) -> tuple[Format, Node]:
    """Return what a file is, and its content where that is JSON."""
    if not path.is_file():
        hint = "Name an exported file; docs/coming-from-elsewhere.md says how to get one."
        raise PromptHubError(f"there is no file {path}.", hint=hint)
    suffix = path.suffix.lower()
    format_ = given or _BY_NAME.get(suffix)
    nothing = Node(None, Source(path.name))
    if format_ in (*_PAGES, "promptfoo"):
        assert format_ is not None
        return format_, nothing
    if suffix not in (".json", ".jsonl"):
        raise broken(path.name, 1, f"a {suffix or 'nameless'} file", _expected())
    read = parsed_json if suffix == ".json" else parsed_records
    node = read(text_in(path, path.name), path.name)
    data = node.get("data")
    first = next(iter((data if data is not None else node).elements()), node)
    keys = first.data.keys() if isinstance(first.data, dict) else frozenset[str]()
    if format_ is None:
        format_ = next((found for known, found in _BY_KEYS if known <= keys), None)
    name = first.get("id")
    if format_ is None and name is not None and str(name.data).startswith("pmpt_"):
        raise UnusablePromptError(
            f"{path.name} is a reference to a stored prompt, which says nothing of its text.",
            hint="Copy the prompt's messages from the dashboard into it.",
            exit_code=ExitCode.BLOCKED,
        )
    if format_ is None:
        shown = ", ".join(sorted(keys)[:6]) or "no object"
        raise broken(path.name, 1, f"JSON of no known export ({shown})", _expected())
    return format_, node


def _expected() -> str:
    return f"an export that --from names: {', '.join(FORMATS)}"
