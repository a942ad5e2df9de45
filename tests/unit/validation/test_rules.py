"""Every rule: what breaks it, what it says, where it points; and nothing else complains."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

from prompt_hub import validation
from prompt_hub.validation.check import TASK_RULES, TREE_RULES
from prompt_hub.validation.rules.base import Rule
from prompt_hub.validation.rules.reading import READING_RULES
from tests.unit.building import COMMIT, RepositoryFolder

SCORER_RULES = {"scorers", "judge"}
"""Their breaks are in test_scorer_rules.py."""

CANDIDATE = "prompts/00-templates/part-class.yaml"
EXAMPLES = "prompts/01-examples/part-class.jsonl"
PRODUCTION = "prompts/02-production/part-class.yaml"
METADATA = "prompts/03-metadata/part-class.yaml"
ARCHIVED = "prompts/99-archive/part-class/1.0.0.yaml"
REGISTRY = "prompt_registry.yaml"


@dataclass(frozen=True)
class Case:
    """A break, and where and what the rule must say of it; `also` are rules that follow from it."""

    rule: str
    damage: Callable[[RepositoryFolder], object]
    file: str
    says: str
    at: tuple[int, int] | None = None
    also: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.rule


def edit(file: str, old: str, new: str) -> Callable[[RepositoryFolder], None]:
    return lambda folder: folder.edit(file, old, new)


def append(file: str, text: str) -> Callable[[RepositoryFolder], None]:
    return lambda folder: folder.write(file, folder.read(file) + text)


def first(file: str, old: str, new: str) -> Callable[[RepositoryFolder], None]:
    return lambda folder: folder.write(file, folder.read(file).replace(old, new, 1))


def write(file: str, text: str) -> Callable[[RepositoryFolder], None]:
    return lambda folder: folder.write(file, text)


def cut(file: str, mark: str) -> Callable[[RepositoryFolder], None]:
    """A file without everything from `mark` on."""
    return lambda folder: folder.write(file, folder.read(file).split(f"\n{mark}")[0] + "\n")


def raw(folder: RepositoryFolder, file: str, content: bytes) -> Path:
    folder.path(file).write_bytes(content)
    return folder.path(file)


def with_tags(schema: str, turn: str = "{{ tag }}") -> Callable[[RepositoryFolder], None]:
    """The candidate takes a list of tags and loops over it."""

    def damage(folder: RepositoryFolder) -> None:
        folder.edit(
            CANDIDATE, "{type: string}\noutput:", f"{{type: string}}\n    tags: {schema}\noutput:"
        )
        loop = f"{{% if tags is defined %}}{{% for tag in tags %}}{turn}{{% endfor %}}{{% endif %}}"
        append(CANDIDATE, f"      {loop}\n")(folder)

    return damage


def delete(*files: str, missing_ok: bool = False) -> Callable[[RepositoryFolder], None]:
    def damage(folder: RepositoryFolder) -> None:
        for file in files:
            folder.path(file).unlink(missing_ok=missing_ok)

    return damage


def restamped(damage: Callable[[RepositoryFolder], None]) -> Callable[[RepositoryFolder], None]:
    def both(folder: RepositoryFolder) -> None:
        damage(folder)
        folder.stamp("part-class")

    return both


def example(**changes: object) -> Callable[[RepositoryFolder], None]:
    """One more example, good but for `changes`; metadata is stamped for it."""
    good: dict[str, object] = {
        "id": "one-more",
        "input": {"part_number": "1N4007", "title": "Rectifier diode 1 A 1000 V"},
        "expected": {"part_class": "diode"},
    }
    return restamped(append(EXAMPLES, json.dumps({**good, **changes}) + "\n"))


def link(folder: RepositoryFolder) -> None:
    outside = folder.root.parent / "outside.yaml"
    outside.write_text("secret: true\n")
    folder.path("prompts/00-templates/leak.yaml").symlink_to(outside)


def released_as(version: str) -> Callable[[RepositoryFolder], None]:
    """The candidate goes back to `version`, whose content is another."""
    return lambda folder: folder.bump("part-class", "1.2.0", version)


CASES = [
    Case("symlink", link, "prompts/00-templates/leak.yaml", "a symbolic link out of the tree"),
    Case(
        "symlink",
        lambda folder: folder.path("prompts/00-templates/gone.yaml").symlink_to("nowhere"),
        "prompts/00-templates/gone.yaml",
        "a symbolic link to nothing",
    ),
    Case(
        "yaml-syntax",
        lambda folder: folder.write("prompts/00-templates/draft.yaml", "a: [1,\n  b: 2\n"),
        "prompts/00-templates/draft.yaml",
        "expected valid YAML",
    ),
    Case(
        "duplicate-key",
        edit(CANDIDATE, "  - role: system", "  - role: system\n    role: user"),
        CANDIDATE,
        "messages.0.role: found the key twice",
        at=(25, 5),
    ),
    Case(
        "not-finite",
        lambda folder: folder.write("prompts/04-evals/brand/0.9.0.json", '{"score": NaN}'),
        "prompts/04-evals/brand/0.9.0.json",
        "score: found NaN; expected a finite number",
        at=(1, 11),
    ),
    Case(
        "unknown-key",
        edit(CANDIDATE, "description: Which", "descripton: Which"),
        CANDIDATE,
        "the key 'descripton' (did you mean 'description'?)",
        at=(4, 1),
        also=frozenset({"missing-key"}),
    ),
    Case(
        "value", edit(METADATA, "threshold: 0.7", "threshold: 70"), METADATA, "threshold: found 70"
    ),
    Case(
        "value",
        edit(METADATA, "threshold: 0.7\n", "threshold: 0.7\nlimits: {seconds_per_call: 61}\n"),
        METADATA,
        "limits.seconds_per_call: found 61; expected less than or equal to 60",
    ),
    Case(
        "value",
        edit(REGISTRY, "  brand:\n    owner: catalogue-team", "  brand:\n    owner: 7"),
        REGISTRY,
        "tasks.brand.owner: found 7",
    ),
    Case("lock", edit(PRODUCTION, "{{ title }}", "{{title}}"), PRODUCTION, "undo the hand edit"),
    Case(
        "value",
        append(EXAMPLES, '{"id": "a", "input": {}, "expected": {}, "split": "evl"}\n'),
        EXAMPLES,
        "split: found 'evl' (did you mean 'eval'?)",
        at=(9, 51),
    ),
    Case(
        "building-block",
        delete("prompts/00-templates/catalogue-role.txt"),
        CANDIDATE,
        "messages.0.content: found the building block 'catalogue-role.txt': no such file",
        at=(26, 7),
    ),
    Case(
        "few-shot",
        edit(CANDIDATE, "{count: 2}", "{count: 3}"),
        CANDIDATE,
        "found 3; expected at most 2",
    ),
    Case(
        "secret",
        append("prompts/00-templates/catalogue-role.txt", f"AK{'IA'}ABCDEFGHIJKLMNOP\n"),
        "prompts/00-templates/catalogue-role.txt",
        "an AWS access key id",
        at=(2, 1),
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/03-metadata/colour.yml", "task: colour\n"),
        "prompts/03-metadata/colour.yml",
        "found the ending '.yml' (did you mean '.yaml'?); expected .yaml",
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/99-archive/0.1.0.yaml", "a: 1\n"),
        "prompts/99-archive/0.1.0.yaml",
        "prompts/99-archive/TASK/VERSION.yaml",
    ),
    Case(
        "live",
        delete("prompts/01-examples/brand.jsonl"),
        "prompts/01-examples/brand.jsonl",
        "no examples, though 02-production, 03-metadata has 'brand'",
    ),
    Case(
        "live",
        delete("prompts/03-metadata/brand.yaml"),
        "prompts/03-metadata/brand.yaml",
        "no metadata",
    ),
    Case(
        "metadata-task", edit(METADATA, "task: part-class", "task: part"), METADATA, "found 'part'"
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", "candidate: ../app.py"),
        METADATA,
        "outside prompts/",
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", "candidate: 00-templates/x.yaml"),
        METADATA,
        "which does not exist",
        at=(7, 12),
    ),
    Case(
        "candidate-task",
        edit(CANDIDATE, "task: part-class", "task: part"),
        CANDIDATE,
        "found 'part'; expected 'part-class'",
        at=(2, 7),
    ),
    Case(
        "candidate-lock",
        append(
            CANDIDATE,
            f"lock: {{sha256: {'a' * 64}, promoted_at: '2026-01-01T00:00:00Z',"
            " evaluation: e, commit: c}\n",
        ),
        CANDIDATE,
        "promotion writes it",
    ),
    Case(
        "candidate-version",
        edit(METADATA, "version: 1.2.0", "version: 1.3.0"),
        METADATA,
        "version: found 1.3.0; expected 1.2.0",
        at=(6, 10),
    ),
    Case(
        "up-to-date",
        edit(CANDIDATE, "title: {type: string}", "title: {type: string, maxLength: 200}"),
        METADATA,
        "prompt-hub validate --stamp part-class",
    ),
    Case(
        "score-watch",
        edit(METADATA, "datapoints_to_alarm: 1", "datapoints_to_alarm: 2"),
        METADATA,
        "at most evaluation_periods, 1",
    ),
    Case(
        "records",
        edit(METADATA, "    title: [Description]", "    name: [Description]"),
        METADATA,
        "found 'name'; expected a property of the input",
    ),
    Case(
        "records",
        edit(METADATA, "title: [Description]", "title: [Description, part no]"),
        METADATA,
        "'part no', which 'part_number' claims too",
    ),
    Case(
        "schema",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: text}")),
        CANDIDATE,
        "input.properties.title.type: found",
        at=(14, 19),
    ),
    Case(
        "schema",
        restamped(
            edit(CANDIDATE, "title: {type: string}", "title: {$ref: 'http://example.org/s'}")
        ),
        CANDIDATE,
        "a reference inside this schema",
    ),
    Case(
        "schema",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: string, pattern: '('}")),
        CANDIDATE,
        "expected a regular expression",
    ),
    Case(
        "question",
        append(CANDIDATE, "  - {role: assistant, content: Done.}\n"),
        CANDIDATE,
        "found 'assistant'; expected 'user'",
    ),
    Case(
        "template-syntax",
        edit(CANDIDATE, "{{ title }}", "{{ title }"),
        CANDIDATE,
        "messages.1.content: found unexpected '}'; expected a Jinja2 template",
        at=(31, 7),
    ),
    Case(
        "undeclared-variable",
        edit(CANDIDATE, "{{ title }}", "{{ titel }} {{ title }}"),
        CANDIDATE,
        "found the variable 'titel' (did you mean 'title'?)",
        at=(31, 17),
    ),
    Case(
        "unused-property",
        restamped(
            edit(
                CANDIDATE,
                "    title: {type: string}",
                "    title: {type: string}\n    colour: {type: string}",
            )
        ),
        CANDIDATE,
        "input.properties.colour: found a property that no message uses",
    ),
    Case(
        "render",
        edit(
            CANDIDATE,
            "{% if manufacturer is defined %}Manufacturer: {{ manufacturer }}{% endif %}",
            "{{ manufacturer }}",
        ),
        EXAMPLES,
        "without the optional manufacturer (and in 7 more examples)",
    ),
    Case(
        "render",
        edit(CANDIDATE, "{{ title }}", "{{ title | round }}"),
        EXAMPLES,
        "the user message of part-class 1.2.0 cannot be rendered",
        at=(1, 35),
    ),
    Case(
        "example-id",
        example(id="2N7002"),
        EXAMPLES,
        "'2N7002', which line 4 has already",
        at=(9, 8),
    ),
    Case(
        "example-input",
        example(input={"part_number": 4007, "title": "Rectifier diode"}),
        EXAMPLES,
        'input.part_number: found 4007 is not of type "string"',
        at=(9, 45),
    ),
    Case(
        "example-expected",
        example(expected={"part_class": "rectifier"}),
        EXAMPLES,
        'expected.part_class: found "rectifier" is not one of',
    ),
    Case(
        "example-eval",
        restamped(
            lambda folder: folder.write(
                EXAMPLES, folder.read(EXAMPLES).replace('"split": "eval"', '"split": "shot"')
            )
        ),
        EXAMPLES,
        "at least one example with split: eval",
    ),
    Case(
        "released-task",
        lambda folder: folder.write("prompts/99-archive/brand/1.0.0.yaml", folder.read(ARCHIVED)),
        "prompts/99-archive/brand/1.0.0.yaml",
        "found 'part-class'; expected 'brand'",
        also=frozenset({"registry-archive", "registry-lock", "version-moves"}),
    ),
    Case(
        "archive-name",
        lambda folder: folder.write(
            "prompts/99-archive/part-class/0.9.0.yaml", folder.read(ARCHIVED)
        ),
        "prompts/99-archive/part-class/0.9.0.yaml",
        "found 1.0.0; expected 0.9.0",
    ),
    Case(
        "version-moves",
        released_as("1.1.0"),
        CANDIDATE,
        "1.1.0, which is released with other content; expected a higher version",
        at=(3, 10),
    ),
    Case(
        "version-order",
        released_as("0.5.0"),
        CANDIDATE,
        "found 0.5.0; expected 1.1.0, which is released, or a higher version",
    ),
    Case(
        "registry-released",
        delete(PRODUCTION),
        REGISTRY,
        "tasks.part-class.released: found 1.1.0, but prompts/02-production has no part-class.yaml",
    ),
    Case(
        "registry-released",
        delete(REGISTRY),
        REGISTRY,
        "tasks.brand.released: found nothing; expected 1.0.0",
        also=frozenset({"registry-archive"}),
    ),
    Case(
        "registry-task",
        lambda folder: folder.write(
            REGISTRY, folder.read(REGISTRY).replace("threshold: 0.7\n", "threshold: 0.6\n", 1)
        ),
        REGISTRY,
        "tasks.brand.threshold: found 0.6; expected 0.7, as of version 1.0.0",
    ),
    Case(
        "registry-lock",
        edit(ARCHIVED, "evaluation: 04-evals/part-class/1.0.0.json", "evaluation: 04-evals/x.json"),
        ARCHIVED,
        "lock.evaluation: found '04-evals/x.json'; expected '04-evals/part-class/1.0.0.json'",
    ),
    Case(
        "evaluation-name",
        edit("prompts/04-evals/brand/1.0.0.json", '"task": "brand"', '"task": "colour"'),
        "prompts/04-evals/brand/1.0.0.json",
        "task: found 'colour'; expected 'brand', as the file is called",
        also=frozenset({"registry-evidence"}),
    ),
    Case(
        "registry-state",
        edit(REGISTRY, "state: superseded", "state: released"),
        REGISTRY,
        "tasks.part-class.versions.1.0.0.state: found released",
    ),
    Case(
        "registry-files",
        delete(ARCHIVED),
        REGISTRY,
        "superseded, but no file of version 1.0.0",
    ),
    Case(
        "registry-files",
        delete("prompts/04-evals/part-class/1.0.0.json"),
        REGISTRY,
        "'04-evals/part-class/1.0.0.json', which prompts/ does not have",
    ),
    # --- how files are written ---
    Case(
        "symlink",
        lambda folder: folder.path("prompts/02-production/more").symlink_to(
            folder.path("prompts/00-templates")
        ),
        "prompts/02-production/more",
        "a symbolic link to a folder",
    ),
    Case(
        "symlink",
        lambda folder: (
            folder.path(REGISTRY).rename(folder.root.parent / "registry.yaml"),
            folder.path(REGISTRY).symlink_to(folder.root.parent / "registry.yaml"),
        ),
        REGISTRY,
        "a symbolic link out of the tree",
    ),
    Case(
        "symlink",
        lambda folder: folder.path("prompts/00-templates/a.yaml").symlink_to("a.yaml"),
        "prompts/00-templates/a.yaml",
        "a symbolic link",
    ),
    Case(
        "candidate",
        edit(METADATA, "candidate: 00-templates/part-class.yaml", 'candidate: "a\\0.yaml"'),
        METADATA,
        "outside prompts/",
    ),
    Case(
        "candidate",
        edit(METADATA, "00-templates/part-class.yaml", "00-templates/part-clas.yaml"),
        METADATA,
        "(did you mean '00-templates/part-class.yaml'?)",
    ),
    Case(
        "building-block",
        edit(CANDIDATE, "role.txt'", "rule.txt'"),
        CANDIDATE,
        "a file in 00-templates (did you mean 'catalogue-role.txt'?)",
    ),
    Case(
        "not-a-file",
        lambda folder: os.mkfifo(folder.path("prompts/00-templates/pipe.yaml")),
        "prompts/00-templates/pipe.yaml",
        "something that is no file",
    ),
    Case(
        "not-a-file",
        lambda folder: (folder.path(REGISTRY).unlink(), os.mkfifo(folder.path(REGISTRY))),
        REGISTRY,
        "something that is no file",
    ),
    Case(
        "too-large",
        lambda folder: os.truncate(raw(folder, "prompts/00-templates/huge.yaml", b""), 10**12),
        "prompts/00-templates/huge.yaml",
        "1000000000000 bytes; expected at most 1000000 bytes",
    ),
    Case(
        "utf-8",
        lambda folder: raw(folder, METADATA, b"task: x\nowner: M\xfcller\n"),
        METADATA,
        "found byte 0xfc; expected UTF-8 text",
        at=(2, 9),
    ),
    Case(
        "utf-8",
        lambda folder: raw(folder, METADATA, folder.read(METADATA).encode("utf-16")),
        METADATA,
        "(the file is UTF-16)",
    ),
    Case(
        "bom",
        lambda folder: raw(folder, CANDIDATE, b"\xef\xbb\xbf" + folder.read(CANDIDATE).encode()),
        CANDIDATE,
        "a byte order mark",
        at=(1, 1),
    ),
    Case(
        "bom",
        lambda folder: raw(folder, EXAMPLES, b"\xef\xbb\xbf" + folder.read(EXAMPLES).encode()),
        EXAMPLES,
        "a byte order mark",
    ),
    Case(
        "crlf",
        lambda folder: folder.write(METADATA, folder.read(METADATA).replace("\n", "\r\n")),
        METADATA,
        "a Windows line end (CR LF)",
        at=(1, 58),
    ),
    Case(
        "control-character",
        append("prompts/00-templates/catalogue-role.txt", "a\x00b\n"),
        "prompts/00-templates/catalogue-role.txt",
        "the character U+0000",
        at=(2, 2),
        also=frozenset({"render"}),
    ),
    Case(
        "hidden-character",
        write("prompts/00-templates/note.txt", "say \u202eevil\u202c\n"),
        "prompts/00-templates/note.txt",
        "the character U+202E",
        at=(1, 5),
    ),
    Case(
        "hidden-character",
        write("prompts/00-templates/note.txt", "ignore\U000e0041\n"),
        "prompts/00-templates/note.txt",
        "the character U+E0041",
    ),
    Case(
        "tab",
        edit(METADATA, "    title: [Description]", "\ttitle: [Description]"),
        METADATA,
        "a tab character in the indentation; expected spaces",
        at=(16, 1),
    ),
    Case(
        "alias",
        lambda folder: folder.write("prompts/00-templates/b.yaml", "a: &a [x]\nb: [*a, *a]\n"),
        "prompts/00-templates/b.yaml",
        "a YAML alias",
        at=(2, 5),
    ),
    Case(
        "alias",
        lambda folder: folder.write("prompts/00-templates/b.yaml", "a:\n  <<: {b: 1}\n"),
        "prompts/00-templates/b.yaml",
        "a YAML merge key",
        at=(2, 3),
    ),
    Case(
        "tag",
        lambda folder: folder.write(
            "prompts/00-templates/b.yaml", "a: !!python/object/apply:os.system [ls]\n"
        ),
        "prompts/00-templates/b.yaml",
        "python/object/apply:os.system",
        at=(1, 4),
    ),
    Case(
        "several-documents",
        append(METADATA, "---\na: 1\n"),
        METADATA,
        "another document; expected one document a file",
    ),
    Case(
        "ambiguous-value",
        edit(CANDIDATE, "[capacitor, resistor, diode, transistor]", "[yes, no, 010, 1:30]"),
        CANDIDATE,
        "'010', which YAML reads as another number",
    ),
    Case(
        "ambiguous-value",
        edit(CANDIDATE, "    title: {type: string}", "    on: {type: string}"),
        CANDIDATE,
        "the key 'on', which YAML reads as no text; expected the key \"on\" in quotes",
    ),
    Case(
        "too-deep",
        lambda folder: folder.write("prompts/00-templates/b.yaml", "[" * 100_000),
        "prompts/00-templates/b.yaml",
        "values nested without end",
    ),
    Case("too-deep", append(EXAMPLES, "[" * 60 + "]" * 60 + "\n"), EXAMPLES, "at most 50 levels"),
    Case(
        "duplicate-key",
        append(EXAMPLES, '{"id": "a", "input": {"a": 1, "a": 2}, "expected": {}}\n'),
        EXAMPLES,
        "input.a: found the key 'a' twice",
        at=(9, 31),
    ),
    Case(
        "not-finite",
        edit(METADATA, "threshold: 0.7", "threshold: .inf"),
        METADATA,
        "threshold: found .inf; expected a finite number",
    ),
    Case(
        "not-finite",
        append(EXAMPLES, '{"id": "a", "input": {}, "expected": {"a": 1e999}}\n'),
        EXAMPLES,
        "expected.a: found 1e999",
    ),
    Case(
        "json-syntax",
        append(EXAMPLES, '{"id": "a", "input": {},, }\n'),
        EXAMPLES,
        "expected one JSON value on this line",
        at=(9, 25),
    ),
    Case(
        "json-syntax",
        append(EXAMPLES, '{"id": "a", "input": {"a": NaN}, "expected" {}}\n'),
        EXAMPLES,
        "expected one JSON value on this line",
        at=(9, 45),
    ),
    Case(
        "value",
        edit(ARCHIVED, "promoted_at: '2026-11-03T09:30:00Z'", "promoted_at: 0"),
        ARCHIVED,
        "lock.promoted_at: found 0; expected a time such as",
    ),
    Case(
        "registry-files",
        lambda folder: (folder.path(ARCHIVED).unlink(), folder.path(ARCHIVED).mkdir()),
        REGISTRY,
        "superseded, but no file of version 1.0.0",
    ),
    Case(
        "surrogate",
        append(EXAMPLES, '{"id": "a", "input": {"a": "\\ud800"}, "expected": {}}\n'),
        EXAMPLES,
        "half a character",
        at=(9, 28),
    ),
    Case(
        "unknown-key",
        edit(CANDIDATE, "{temperature: 0, max", "{temprature: 0, max"),
        CANDIDATE,
        "the key 'temprature' (did you mean 'temperature'?)",
        at=(7, 16),
    ),
    Case(
        "unknown-key",
        edit(METADATA, "gate: {margin: 0.5", "gate: {margn: 0.5"),
        METADATA,
        "gate.margn: found the key 'margn' (did you mean 'margin'?)",
        at=(11, 8),
    ),
    Case(
        "missing-key",
        edit(METADATA, "owner: catalogue-team\n", ""),
        METADATA,
        "owner: found nothing; expected this field",
    ),
    Case("value", edit(METADATA, "threshold: 0.7", "threshold: '0.7'"), METADATA, "found '0.7'"),
    Case("value", edit(METADATA, "threshold: 0.7", "threshold: true"), METADATA, "found True"),
    Case(
        "value",
        edit(METADATA, "type: json_fields", "type: json_feilds"),
        METADATA,
        "scorers.0.type: found 'json_feilds' (did you mean 'json_fields'?)",
    ),
    Case(
        "value",
        edit(REGISTRY, "state: superseded", "state: supersede"),
        REGISTRY,
        "found 'supersede' (did you mean 'superseded'?)",
    ),
    Case(
        "value",
        edit(METADATA, "task: part-class", "task: ../../etc/passwd"),
        METADATA,
        "found '../../etc/passwd'; expected it to match pattern",
    ),
    Case("lock", cut(PRODUCTION, "lock:"), PRODUCTION, "no lock; expected the lock of a released"),
    Case(
        "block-circle",
        append("prompts/00-templates/catalogue-role.txt", "{% include 'catalogue-role.txt' %}\n"),
        "prompts/00-templates/catalogue-role.txt",
        "catalogue-role.txt → catalogue-role.txt; expected no circle",
        at=(2, 1),
    ),
    Case(
        "building-block",
        edit(CANDIDATE, "catalogue-role.txt", "../03-metadata/brand.yaml"),
        CANDIDATE,
        "which lies outside 00-templates",
    ),
    Case(
        "undeclared-variable",
        append("prompts/00-templates/catalogue-role.txt", "Sold by {{ manufacture }}.\n"),
        "prompts/00-templates/catalogue-role.txt",
        "found the variable 'manufacture' (did you mean 'manufacturer'?)",
        at=(2, 12),
    ),
    Case(
        "template-syntax",
        append("prompts/00-templates/catalogue-role.txt", "\n{% if %}\n"),
        "prompts/00-templates/catalogue-role.txt",
        "expected a Jinja2 template",
        at=(3, 1),
    ),
    Case(
        "template-unsafe",
        edit(CANDIDATE, "{{ title }}", "{{ title.__class__ }}"),
        CANDIDATE,
        "the attribute '__class__'",
    ),
    Case(
        "template-unsafe",
        append("prompts/00-templates/catalogue-role.txt", "{% set a = 1 %}\n"),
        "prompts/00-templates/catalogue-role.txt",
        "{% set %}",
        at=(2, 1),
    ),
    Case(
        "unbounded-loop",
        restamped(with_tags("{type: array, items: {type: string}}")),
        CANDIDATE,
        "a loop over 'tags', whose length nothing bounds",
        at=(34, 34),
    ),
    Case(
        "unbounded-loop",
        restamped(with_tags("{type: array, maxItems: 1000000, items: {type: string}}")),
        CANDIDATE,
        "loops that may take 3000000 steps; expected at most",
    ),
    Case(
        "undeclared-variable",
        restamped(
            with_tags(
                "{type: array, maxItems: 9, items: {type: object, additionalProperties: false,"
                " properties: {name: {type: string}}}}",
                "{{ tag.nmae }}",
            )
        ),
        CANDIDATE,
        "the field 'nmae' of 'tag' (did you mean 'name'?)",
    ),
    Case(
        "schema-keyword",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: string, maxLenght: 9}")),
        CANDIDATE,
        "the keyword 'maxLenght', which JSON Schema does not have (did you mean 'maxLength'?)",
        at=(14, 27),
    ),
    Case(
        "schema",
        restamped(
            edit(CANDIDATE, "required: [part_number, title]", "required: [part_nmber, title]")
        ),
        CANDIDATE,
        "'part_nmber', which is not among the properties (did you mean 'part_number'?)",
        also=frozenset({"render"}),
    ),
    Case(
        "model-parameters",
        edit(CANDIDATE, "temperature: 0, ", "temperature: 7, "),
        CANDIDATE,
        "model.parameters.temperature: found 7; expected a number from 0 to 2",
    ),
    Case(
        "model-parameters",
        edit(CANDIDATE, "seed: 7}", "seed: 7.5}"),
        CANDIDATE,
        "model.parameters.seed: found 7.5; expected a whole number",
    ),
    Case(
        "draft-lock",
        lambda folder: folder.write("prompts/00-templates/old.yaml", folder.read(PRODUCTION)),
        "prompts/00-templates/old.yaml",
        "a lock; expected none",
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/03-metdata/colour.yaml", "task: colour\n"),
        "prompts/03-metdata/colour.yaml",
        "'03-metdata', which is no layer of prompts/ (did you mean '03-metadata'?)",
    ),
    Case(
        "file-name",
        lambda folder: folder.write("prompts/01-examples/Part Class.jsonl", ""),
        "prompts/01-examples/Part Class.jsonl",
        "the task name 'Part Class'",
        also=frozenset({"live", "example-eval"}),
    ),
    Case(
        "file-name",
        write("prompts/01-examples/colour.yaml", "just: an idea\n"),
        "prompts/01-examples/colour.yaml",
        "a prompt beside the examples that no metadata names",
    ),
    Case(
        "file-name",
        write("prompt_registry.yml", "tasks: {}\n"),
        "prompt_registry.yml",
        "a second registry; expected prompt_registry.yaml alone",
    ),
    Case(
        "value",
        edit(ARCHIVED, "Z'\n  evaluation", "'\n  evaluation"),
        ARCHIVED,
        "expected it to have timezone info",
    ),
    Case(
        "example-eval",
        write("prompts/01-examples/brand.jsonl", "\n"),
        "prompts/01-examples/brand.jsonl",
        "no examples; expected at least one",
    ),
    Case(
        "live",
        lambda folder: (
            folder.path(METADATA).unlink(),
            folder.path(METADATA).mkdir(),
        ),
        METADATA,
        "no metadata",
    ),
    Case(
        "unknown-key",
        edit(METADATA, "schema: prompt", "schema_: prompt"),
        METADATA,
        "the key 'schema_' (did you mean 'schema'?)",
        also=frozenset({"missing-key"}),
    ),
    Case(
        "secret",
        write("prompts/.env", f"OPENAI_API_KEY={'sk-'}{'a1B2' * 12}\n"),
        "prompts/.env",
        "what looks like an API key",
    ),
    Case(
        "example-tag",
        edit(METADATA, "confidence: 0.9}", "confidence: 0.9, tags: {smd: 0.5}}"),
        METADATA,
        "the tag 'smd', which no scored example has",
        at=(11, 45),
    ),
    Case(
        "evaluation-record",
        lambda folder: folder.write(
            "prompts/04-evals/brand/0.9.0.json",
            folder.read("prompts/04-evals/brand/1.0.0.json")
            .replace('"version": "1.0.0"', '"version": "0.9.0"')
            .replace('"threshold": 0.7', '"treshold": 0.7'),
        ),
        "prompts/04-evals/brand/0.9.0.json",
        "the key 'treshold' (did you mean 'threshold'?)",
    ),
    Case(
        "registry-evidence",
        edit("prompts/04-evals/brand/1.0.0.json", '"tokens_in": ', '"tokens_in": 1'),
        REGISTRY,
        "another hash than that of prompts/04-evals/brand/1.0.0.json and its details",
    ),
    Case(
        "registry-evidence",
        append("prompts/04-evals/brand/1.0.0.jsonl", "{}\n"),
        REGISTRY,
        "evaluation_sha256",
    ),
    Case(
        "registry-evaluation",
        edit(
            REGISTRY,
            "        score: 1.0\n        threshold: 0.7\n        model:\n"
            "          alias: catalogue-latest",
            "        score: 0.9\n        threshold: 0.7\n"
            "        model:\n          alias: catalogue-latest",
        ),
        REGISTRY,
        "tasks.brand.versions.1.0.0.score: found 0.9; expected 1.0, as prompts/04-evals",
    ),
    Case(
        "registry-verdict",
        first(REGISTRY, "status: PASS\n      version: 1.0.0", "status: PASS\n      version: 0.1.0"),
        REGISTRY,
        "tasks.brand.verdict.version: found 0.1.0, of which 04-evals has no record",
    ),
    Case(
        "registry-lock",
        edit(ARCHIVED, f"commit: {COMMIT}", f"commit: {'b' * 40}"),
        ARCHIVED,
        "lock.commit: found",
    ),
    Case(
        "registry-archive",
        edit(
            REGISTRY,
            "      1.0.0:\n        state: superseded",
            "      0.9.0:\n        state: blocked",
        ),
        ARCHIVED,
        "1.0.0, which the registry does not know",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_break_is_found_where_it_is_and_nowhere_else(
    healthy: RepositoryFolder, case: Case
) -> None:
    case.damage(healthy)
    findings = healthy.findings()
    mine = [finding for finding in findings if finding.rule == case.rule]
    message = "\n".join(f"{finding.problem} [{finding.rule}]" for finding in findings)
    assert [str(entry.problem) for entry in mine if case.says in str(entry.problem)], message
    assert {finding.problem.file for finding in mine} == {case.file}
    assert {finding.rule for finding in findings} <= {case.rule, *case.also}, message
    if case.at is not None:
        assert case.at in {(item.problem.line, item.problem.column) for item in mine}


ALL_RULES = {rule.id: rule for rule in (*TASK_RULES, *TREE_RULES)}


def test_every_rule_has_a_break_a_line_of_documentation_and_a_way_to_mend_it() -> None:
    assert len(ALL_RULES) == len(TASK_RULES) + len(TREE_RULES)
    written = {
        var.id
        for module in walk_packages(validation.__path__, "prompt_hub.validation.")
        for var in vars(import_module(module.name)).values()
        if isinstance(var, Rule)
    }
    assert written == ALL_RULES.keys(), "a rule stands in no tuple of its module"
    assert not ALL_RULES.keys() & READING_RULES.keys()
    texts = {
        **READING_RULES,
        **{item.id: (item.documentation, item.mend) for item in ALL_RULES.values()},
    }
    assert {case.rule for case in CASES} | SCORER_RULES == texts.keys()
    assert {fine.rule for fine in FINE} | SCORER_RULES == texts.keys()
    for rule, (documentation, mend) in texts.items():
        assert documentation.endswith("."), rule
        assert mend.endswith("."), rule
        assert "  " not in documentation + mend, rule


@dataclass(frozen=True)
class Fine:
    """A change that comes close to breaking a rule, and does not."""

    rule: str
    change: Callable[[RepositoryFolder], object] = lambda folder: None

    def __str__(self) -> str:
        return self.rule


def template(text: str) -> Callable[[RepositoryFolder], None]:
    return edit(CANDIDATE, "{{ title }}", text)


FINE = [
    Fine(
        "symlink",
        lambda folder: folder.path("prompts/00-templates/same.txt").symlink_to(
            folder.path("prompts/00-templates/catalogue-role.txt")
        ),
    ),
    Fine("not-a-file", write("prompts/00-templates/README.md", "How we write prompts.\n")),
    Fine("too-large", write("prompts/00-templates/long.txt", "x" * 1_000_000)),
    Fine("utf-8", write("prompts/00-templates/note.txt", "Ω µ × 电阻 🙂 e\u0301\n")),
    Fine("bom", write("prompts/00-templates/note.txt", "EF BB BF\n")),
    Fine("crlf", write("prompts/00-templates/note.txt", "one\n\n\ntwo, and no end")),
    Fine("control-character", write("prompts/00-templates/note.txt", "a\tb\n")),
    Fine("hidden-character", write("prompts/00-templates/note.txt", "ردیف‌ها 👩‍🔬 שלום\n")),
    Fine("yaml-syntax", write("prompts/00-templates/draft.yaml", "a: [1,\n  b, {c: 2}]\n")),
    Fine("tab", edit(METADATA, "[Description]", "[Description]\t# as the shop calls it")),
    Fine("alias", write("prompts/00-templates/b.yaml", "a: '*b'\nc: R&D\nd: '<<'\n")),
    Fine("tag", write("prompts/00-templates/b.yaml", "a: '!!python/object x'\nb: x!\n")),
    Fine("several-documents", edit(METADATA, "# What the", "---\n# What the")),
    Fine("ambiguous-value", write("prompts/00-templates/b.yaml", "a: true\nb: 'yes'\nc: 1.5e+3\n")),
    Fine("duplicate-key", write("prompts/00-templates/b.yaml", "a: {x: 1}\nb: {x: 1}\n")),
    Fine("too-deep", write("prompts/00-templates/b.yaml", "[" * 49 + "1" + "]" * 49)),
    Fine("not-finite", write("prompts/00-templates/b.yaml", "a: 1.0e+308\nb: '.nan'\n")),
    Fine("json-syntax", append(EXAMPLES, "\n\n")),
    Fine("surrogate", example(input={"part_number": "\U0001f642", "title": "a"})),
    Fine("unknown-key", edit(METADATA, "gate: {margin: 0.5", "gate: {tag_margin: 0.5")),
    Fine("missing-key", edit(METADATA, "gate: {margin: 0.5, confidence: 0.9}\n", "")),
    Fine("value", edit(METADATA, "threshold: 0.7", "threshold: 1")),
    Fine("lock", edit(PRODUCTION, "# Written by", "# Once written by")),
    Fine("building-block", template('{{ title }} {% include "catalogue-role.txt" %}')),
    Fine(
        "block-circle",
        lambda folder: (
            folder.write("prompts/00-templates/inner.txt", "Parts.\n"),
            append("prompts/00-templates/catalogue-role.txt", "{% include 'inner.txt' %}")(folder),
            template("{{ title }} {% include 'inner.txt' %}")(folder),
        ),
    ),
    Fine("few-shot", edit(CANDIDATE, "few_shot: {count: 2}", "few_shot: {count: 1}")),
    Fine("secret", write("prompts/00-templates/note.txt", "RC0603FR-0710KL sk-1 password: none\n")),
    Fine("file-name", write("prompts/README.md", "The layers.\n")),
    Fine("live", delete("prompts/00-templates/never-existed.yaml", missing_ok=True)),
    Fine("metadata-task"),
    Fine("candidate"),
    Fine("candidate-task"),
    Fine("candidate-lock", append(CANDIDATE, "# lock: none yet\n")),
    Fine("candidate-version", lambda folder: folder.bump("part-class", "1.2.0", "2.0.0")),
    Fine("up-to-date", first(EXAMPLES, '"input": {', '"input":   {')),
    Fine("scorers", edit(METADATA, "type: json_fields, fields: {part_class: 1.0}", "type: exact")),
    Fine("score-watch", edit(METADATA, "evaluation_periods: 1", "evaluation_periods: 3")),
    Fine("records", edit(METADATA, "[Description]", "[Description, description]")),
    Fine("schema", restamped(edit(CANDIDATE, "title: {type: string}", "title: true"))),
    Fine(
        "schema-keyword",
        restamped(edit(CANDIDATE, "title: {type: string}", "title: {type: string, x-unit: mm}")),
    ),
    Fine("question", append(CANDIDATE, "  - {role: user, content: Thanks.}\n")),
    Fine("model-parameters", edit(CANDIDATE, "temperature: 0, ", "temperature: 2.0, ")),
    Fine("template-syntax", template("{{ title }} {% raw %}{{ {% %} }}{% endraw %} }} %}")),
    Fine("template-unsafe", template("{{ (title | trim | upper)[:80] }}")),
    Fine(
        "unbounded-loop",
        restamped(with_tags("{type: array, maxItems: 100, items: {type: string}}")),
    ),
    Fine(
        "undeclared-variable", template("{% for i in ['a', 'b'] %}{{ i }}{{ title }}{% endfor %}")
    ),
    Fine("unused-property", template("{% if title %}x{% endif %}")),
    Fine("render", template("{{ title }}{{ manufacturer | default('') }}")),
    Fine("draft-lock", write("prompts/00-templates/idea.yaml", "just: an idea\nlock: 1\n")),
    Fine("example-id", example(id="2n7002")),
    Fine("example-input", example(input={"part_number": "1", "title": ""})),
    Fine("example-expected", example(expected={"part_class": "diode"})),
    Fine("example-eval", example(split="shot")),
    Fine(
        "example-tag",
        lambda folder: (
            edit(METADATA, "confidence: 0.9}", "confidence: 0.9, tags: {smd: 0.5}}")(folder),
            example(tags=["smd"])(folder),
        ),
    ),
    Fine("released-task"),
    Fine("archive-name"),
    Fine("version-moves", edit(CANDIDATE, "description: Which", "description: Tells which")),
    Fine("version-order", lambda folder: folder.bump("part-class", "1.2.0", "1.10.0")),
    Fine("registry-released"),
    Fine("registry-task"),
    Fine("registry-lock"),
    Fine("registry-state"),
    Fine("registry-files"),
    Fine("registry-archive"),
    Fine("registry-verdict"),
    Fine("registry-evidence"),
    Fine("registry-evaluation"),
    Fine("evaluation-name", write("prompts/04-evals/brand/notes.json", '{"by": "a person"}\n')),
    Fine(
        "evaluation-record",
        lambda folder: folder.write(
            "prompts/04-evals/brand/0.9.0.json",
            folder.read("prompts/04-evals/brand/1.0.0.json").replace(
                '"version": "1.0.0"', '"version": "0.9.0"'
            ),
        ),
    ),
]


@pytest.mark.parametrize("fine", FINE, ids=str)
def test_what_comes_close_to_a_rule_is_not_found(healthy: RepositoryFolder, fine: Fine) -> None:
    fine.change(healthy)
    assert [str(finding.problem) for finding in healthy.findings()] == []


def test_the_healthy_repository_is_valid(healthy: RepositoryFolder) -> None:
    assert healthy.findings() == []


def test_a_candidate_beside_its_examples_is_valid(healthy: RepositoryFolder) -> None:
    text = healthy.read(CANDIDATE)
    healthy.path(CANDIDATE).unlink()
    healthy.write("prompts/01-examples/part-class.yaml", text)
    healthy.edit(METADATA, "00-templates/part-class.yaml", "01-examples/part-class.yaml")
    assert healthy.findings() == []


def test_a_draft_only_has_to_parse(healthy: RepositoryFolder) -> None:
    healthy.write("prompts/00-templates/idea.yaml", "just: an idea\n")
    assert healthy.findings() == []


def test_all_problems_of_all_files_are_found_at_once(healthy: RepositoryFolder) -> None:
    healthy.edit(METADATA, "threshold: 0.7", "threshold: 7")
    healthy.edit("prompts/00-templates/brand.yaml", "role: user", "role: robot")
    healthy.edit(PRODUCTION, "{{ title }}", "{{title}}")
    append(EXAMPLES, "nonsense\n{}\n")(healthy)
    found = {(finding.problem.file, finding.problem.line) for finding in healthy.findings()}
    assert (METADATA, 8) in found
    assert ("prompts/00-templates/brand.yaml", 17) in found
    assert PRODUCTION in {file for file, _ in found}
    assert {(EXAMPLES, 9), (EXAMPLES, 10)} <= found


def test_a_key_is_found_but_never_repeated(healthy: RepositoryFolder) -> None:
    secret = "sk-" + "proj-abcdefghijklmnopqrstuvwxyz"
    healthy.edit(METADATA, "owner: catalogue-team", f"owner: [{secret}]")
    findings = healthy.findings()
    assert {finding.rule for finding in findings} == {"secret", "value"}
    assert secret not in "\n".join(str(finding.problem) for finding in findings)


def test_one_task_is_looked_at_alone(healthy: RepositoryFolder) -> None:
    healthy.edit(METADATA, "threshold: 0.7", "threshold: 7")
    assert healthy.findings("brand") == []
    assert healthy.rules_broken("part-class") == ["value"]


def test_one_broken_candidate_is_its_own_tasks_alone(healthy: RepositoryFolder) -> None:
    healthy.write(CANDIDATE, "schema: [\n")
    assert healthy.findings("brand") == []
    assert healthy.rules_broken("part-class") == ["yaml-syntax"]


def test_an_empty_repository_has_no_problems(healthy: RepositoryFolder) -> None:
    empty = RepositoryFolder(healthy.root / "empty")
    empty.path("prompts").mkdir(parents=True)
    assert empty.findings() == []


def test_a_bomb_of_nested_values_is_refused(healthy: RepositoryFolder) -> None:
    healthy.write("prompts/00-templates/bomb.yaml", "[" * 100_000)
    healthy.write("prompts/00-templates/aliases.yaml", "a: &a [x]\nb: [*a, *a]\n")
    append(EXAMPLES, "[" * 100_000 + "\n")(healthy)
    lines = [finding.problem.found for finding in healthy.findings()]
    assert "values nested without end" in lines
    assert "a YAML alias" in lines
