"""The repository of one task of several fields, and the history of its versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prompt_hub.core.hashing import sha256_of
from prompt_hub.promotion.registry_writer import prompt_text, registry_text
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.registry import (
    RegisteredModel,
    RegisteredTask,
    RegisteredVerdict,
    RegisteredVersion,
    Registry,
    VersionState,
)
from prompt_hub.repository.schema import Example, JsonObject, Lock, Prompt

TASK = "part-fields"
COMMIT = "1c0ffee5" + "0" * 32
AT = datetime(2026, 11, 22, 13, 50, tzinfo=UTC)
FIELDS = ("part_class", "package", "value", "brand")

METADATA = """\
schema: prompt-hub/metadata@1
task: part-fields
owner: catalogue-team
description: Class, package, value and brand of an electronic part, from its number and title.
version: 1.3.0
candidate: 00-templates/part-fields.yaml
up_to_date: {{examples: {hashed}, input: {hashed}, output: {hashed}}}
threshold: 0.8
scorers:
  - {{type: json_fields, weight: 1.0, fields: {{part_class: 2, package: 1, value: 1, brand: 1}}}}
gate: {{margin: 0.05, confidence: 0.9, tags: {{connector: 0.7, inductor: 0.99}}}}
limits: {{usd_per_call: 0.01, seconds_per_call: 60, seconds_p95: 4.0}}
"""

PROMPTS: dict[str, tuple[str, str, dict[str, float | int]]] = {
    "0.9.0": ("First draft", "Read the part. Answer with JSON.", {"temperature": 0.7}),
    "1.0.0": (
        "Names the four fields",
        "Read the record of an electronic part and name its class, package, value and brand.",
        {"temperature": 0, "max_tokens": 96, "seed": 7},
    ),
    "1.2.0": (
        "The brand is not the company",
        "Read the record of an electronic part and name its class, package, value and brand.\n"
        "The brand is the name printed on the part, without legal form.",
        {"temperature": 0, "max_tokens": 96, "seed": 7},
    ),
    "1.3.0": (
        "Packages as the manufacturers write them; values with a unit",
        "Read the record of an electronic part and state its class, package, value and brand.\n"
        "The brand is the name printed on the part, without legal form such as GmbH or Inc.\n"
        "Write the package as the manufacturer does, the value with its unit.",
        {"temperature": 0, "max_tokens": 128, "seed": 7},
    ),
}

SCORES = {"0.9.0": 0.588, "1.0.0": 0.741, "1.1.0": 0.69, "1.2.0": 0.832}

STATES = {
    "0.9.0": VersionState.SUPERSEDED,
    "1.0.0": VersionState.SUPERSEDED,
    "1.1.0": VersionState.BLOCKED,
    "1.2.0": VersionState.RELEASED,
}

MODEL = RegisteredModel(alias="catalogue-pinned", identity="openai:gpt-4.1-mini-2026-04")


def prompt(version: str) -> Prompt:
    """One version of the task's prompt."""
    description, system, parameters = PROMPTS[version]
    text = {"type": "string"}
    return Prompt.model_validate(
        {
            "schema": "prompt-hub/prompt@1",
            "task": TASK,
            "version": version,
            "description": description,
            "model": {"alias": "catalogue-pinned", "parameters": parameters},
            "input": {
                "type": "object",
                "required": ["part_number", "title", "manufacturer"],
                "properties": {"part_number": text, "title": text, "manufacturer": text},
            },
            "output": {
                "type": "object",
                "required": list(FIELDS[: 3 if version == "0.9.0" else 4]),
                "properties": dict.fromkeys(FIELDS, text),
            },
            "messages": [
                {"role": "system", "content": system},
                {"role": "user", "content": "RC0402 | Resistor 10 kΩ 0402 | Yageo Corporation"},
                {
                    "role": "assistant",
                    "content": '{"part_class": "resistor", "package": "0402", "value": "10 kΩ",'
                    ' "brand": "Yageo"}',
                },
                {"role": "user", "content": "{{ part_number }} | {{ title }} | {{ manufacturer }}"},
            ],
        }
    )


def layers(root: Path, examples: Sequence[Example]) -> PromptRepository:
    def write(name: str, text: str) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    write(f"prompts/00-templates/{TASK}.yaml", prompt_text(prompt("1.3.0")))
    write(f"prompts/03-metadata/{TASK}.yaml", METADATA.format(hashed="a" * 64))
    write(
        f"prompts/01-examples/{TASK}.jsonl",
        jsonl([example.model_dump(mode="json") for example in examples]),
    )
    for version, state in STATES.items():
        if version not in PROMPTS:
            continue
        item = prompt(version)
        lock = Lock(
            sha256=item.sha256,
            promoted_at=released_at(version),
            evaluation=f"04-evals/{TASK}/{version}.json",
            commit=COMMIT,
        )
        released = state is VersionState.RELEASED
        layer = f"02-production/{TASK}" if released else f"99-archive/{TASK}/{version}"
        write(f"prompts/{layer}.yaml", prompt_text(item.model_copy(update={"lock": lock})))
    write("prompt_registry.yaml", registry_text(_registry()))
    return PromptRepository(root)


def released_at(version: str) -> datetime:
    return AT - timedelta(days=40 - 10 * list(SCORES).index(version))


def _sha256(version: str) -> str:
    return prompt(version).sha256 if version in PROMPTS else sha256_of(version)


def _registry() -> Registry:
    versions = {
        version: RegisteredVersion(
            state=state,
            sha256=_sha256(version),
            score=SCORES[version],
            threshold=0.5 if version == "0.9.0" else 0.7,
            model=MODEL,
            evaluation=f"04-evals/{TASK}/{version}.json",
            evaluation_sha256="e" * 64,
            commit=COMMIT,
            at=released_at(version),
            reason="score 0.690 is below the threshold 0.700" if version == "1.1.0" else None,
        )
        for version, state in STATES.items()
    }
    return Registry(
        schema_="prompt-hub/registry@1",
        tasks={
            TASK: RegisteredTask(
                owner="catalogue-team",
                description="Class, package, value and brand of an electronic part.",
                released="1.2.0",
                sha256=_sha256("1.2.0"),
                threshold=0.7,
                model=MODEL,
                verdict=RegisteredVerdict(
                    status="PASS",
                    version="1.2.0",
                    score=SCORES["1.2.0"],
                    baseline=0.31,
                    at=released_at("1.2.0"),
                ),
                versions=versions,
            )
        },
    )


def jsonl(lines: Sequence[JsonObject]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
