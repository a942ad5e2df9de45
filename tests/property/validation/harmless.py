"""An own opinion on which damage matters.

It shares no code with validation: it parses with other parsers, and knows from the formats alone
which values people may change without anybody being able to say that they are wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import yaml
from jsonschema_rs import Draft202012Validator

from prompt_hub.validation.schemas import schemas
from tests.property.validation.mutants import Files, Mutant, SpecialFile

FREE = {
    # A wording that nobody hashes, released or not.
    "prompt": ("description",),
    # Decisions of people: as good as any other, as long as they are of the right type and range.
    "metadata": (
        "owner", "description", "threshold", "gate", "gate.*", "limits", "limits.*", "override.*",
        "override", "score_watch", "score_watch.*", "scorers*", "records*", "judge*",
    ),
    # Copies of texts, the times of events, and why: no other file says the same.
    "registry": (
        "tasks.*.owner", "tasks.*.description", "tasks.*.versions.*.reason", "tasks.*.at",
        "tasks.*.versions.*.state", "tasks.*.verdict.status",
    ),
    "released": ("description", "lock.promoted_at"),
}  # fmt: skip
"""Places whose new value only their author could call wrong."""


ARCHIVED_STATES = {"superseded", "downgraded", "quarantined", "archived"}


CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]")


def harmless(files: Files, mutant: Mutant) -> bool:
    """Whether validation may accept a mutant: it says the same, or something equally good."""
    return all(_harmless(files, name, content) for name, content in mutant.changes.items())


def _harmless(files: Files, name: str, content: bytes | SpecialFile | None) -> bool:
    before = files.get(name)
    kind = _kind(name)
    if isinstance(content, SpecialFile):
        # A folder is no draft; git would not even notice it.
        return kind == "draft" and content.kind == "folder"
    if content == before:
        return True
    if kind == "draft":
        return content is None or _is_draft(content)
    if content is None or kind == "sealed":
        return False
    if before is None:
        # Building blocks and drafts may be added; anything else claims a place in a layer.
        return kind == "block" and _is_text(content)
    try:
        old, new = _parse(name, before), _parse(name, content)
    except (ValueError, yaml.YAMLError, RecursionError):
        return False
    return _is_text(content) and _all_free(kind, files, old, new)


def differences(files: Files, mutant: Mutant) -> list[str]:
    """The places whose values a mutant changed, of all files that still parse."""
    found: list[str] = []
    for name, content in mutant.changes.items():
        if isinstance(content, bytes) and name in files:
            try:
                found += _changed(_parse(name, files[name]), _parse(name, content), "")
            except (ValueError, yaml.YAMLError, RecursionError):
                found.append(f"{name} does not parse")
    return found


def _kind(name: str) -> str:
    layer = name.removeprefix("prompts/").split("/")[0]
    if name == "prompt_registry.yaml":
        return "registry"
    if layer == "00-templates":
        named = name.removeprefix("prompts/00-templates/") in {"brand.yaml", "part-class.yaml"}
        return "prompt" if named else "draft" if name.endswith(".yaml") else "block"
    kinds = {"02-production": "released", "99-archive": "released", "03-metadata": "metadata"}
    return "sealed" if layer == "04-evals" else kinds.get(layer, "examples")


def _parse(name: str, raw: bytes) -> object:
    text = raw.decode("utf-8")
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    if name.endswith(".json"):
        return json.loads(text)
    try:
        return yaml.load(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:  # libyaml, rightly, takes tabs where they do not indent
        return yaml.load(text, Loader=yaml.CSafeLoader)


def _is_text(raw: bytes) -> bool:
    try:
        return not CONTROL.search(raw.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _fits(kind: str, value: object) -> bool:
    schema = json.loads(schemas()[f"{kind}.schema.json"])
    return Draft202012Validator(schema).is_valid(json.loads(json.dumps(value, default=str)))


def _is_draft(raw: bytes) -> bool:
    """A draft only has to parse; one that calls itself a prompt has to be one."""
    try:
        value = _parse("draft.yaml", raw)
    except (ValueError, yaml.YAMLError, RecursionError):
        return False
    if not _is_text(raw):
        return False
    return not (isinstance(value, dict) and "schema" in value) or _fits("prompt", value)


def _all_free(kind: str, files: Files, old: object, new: object) -> bool:
    changed = sorted(_changed(old, new, ""))
    if not changed:
        return True
    schema = {"released": "prompt", "examples": "example"}.get(kind, kind)
    if not all(any(fnmatchcase(place, free) for free in FREE.get(kind, ())) for place in changed):
        return False
    if not _fits(schema, new):
        return False
    if kind == "metadata":
        return _decisions_make_sense(files, new)
    return kind != "registry" or _states_make_sense(old, new, changed)


def _changed(old: object, new: object, at: str) -> Iterator[str]:
    """Places, dotted, where two parsed values differ; a key that came or went is one place."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            here = f"{at}.{key}" if at else str(key)
            if key in old and key in new:
                yield from _changed(old[key], new[key], here)
            else:
                yield here
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from _changed(*pair, f"{at}.{index}")
    elif isinstance(old, bool) != isinstance(new, bool) or old != new:
        yield at


def _decisions_make_sense(files: Files, new: Any) -> bool:
    prompt = yaml.safe_load(files[f"prompts/00-templates/{new['task']}.yaml"])
    inputs, outputs = prompt["input"]["properties"], prompt["output"]["properties"]
    watch = {"datapoints_to_alarm": 1, "evaluation_periods": 1, **new.get("score_watch", {})}
    columns = new.get("records", {}).get("columns", {})
    claims = [
        ("".join(name.casefold().split()), field)
        for field, names in columns.items()
        for name in names
    ]
    scorers = new["scorers"]
    named = {name for scorer in scorers for name in scorer.get("fields") or {}}
    named |= {scorer["field"] for scorer in scorers if scorer.get("field")}
    return (
        watch["datapoints_to_alarm"] <= watch["evaluation_periods"]
        and columns.keys() <= inputs.keys()
        and len({name for name, _ in claims}) == len(set(claims))
        and named <= outputs.keys()
        and not new.get("gate", {}).get("tags")
        and not new.get("judge")
    )


def _states_make_sense(old: Any, new: Any, changed: list[str]) -> bool:
    for place in changed:
        _, task, *rest = place.split(".")
        if rest[-1] == "state":
            version = ".".join(rest[1:-1])
            states = {item["tasks"][task]["versions"][version]["state"] for item in (old, new)}
            if not states <= ARCHIVED_STATES:
                return False
        if rest == ["verdict", "status"] and new["tasks"][task]["verdict"]["status"] == "PASS":
            return False
    return True
