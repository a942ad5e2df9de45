"""Breaks of how files are written, read and locked."""

from __future__ import annotations

import hashlib
import json
import os

from prompt_hub.validation.rules.reading import UNREACHABLE
from tests.unit.building import RepositoryFolder
from tests.unit.validation.breaking import (
    ARCHIVED,
    CANDIDATE,
    EXAMPLES,
    METADATA,
    PRODUCTION,
    REGISTRY,
    Case,
    Fine,
    append,
    cut,
    delete,
    edit,
    example,
    link,
    move_prompts,
    raw,
    template,
    write,
)


def refer(folder: RepositoryFolder, *, kept: bool, named: str = "") -> None:
    """Let the examples lie in S3 and, if they are `kept`, on this machine, too."""
    content = folder.path(EXAMPLES).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if kept:
        place = folder.root / ".prompt-hub/examples"
        place.mkdir(parents=True)
        (place / f"{sha256}.jsonl").write_bytes(content)
    line = {
        "schema": "prompt-hub/examples@1",
        "uri": f"s3://a-bucket/examples/{named or sha256}.jsonl",
        "sha256": sha256,
        "size": len(content),
        "count": len(content.splitlines()),
    }
    folder.write(EXAMPLES, json.dumps(line) + "\n")


CASES = [
    Case(
        "example-set",
        lambda folder: refer(folder, kept=True, named="0" * 64),
        EXAMPLES,
        "expected a name that is its hash",
    ),
    Case(
        UNREACHABLE,
        lambda folder: refer(folder, kept=False),
        EXAMPLES,
        "cannot be read: EndpointConnectionError",
    ),
    Case("symlink", link, "prompts/00-templates/leak.yaml", "a symbolic link out of the tree"),
    Case("symlink", move_prompts("../elsewhere"), "prompts", "a symbolic link out of the tree"),
    Case("symlink", move_prompts("elsewhere"), "prompts", "a symbolic link to a folder"),
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
        "values nested more than 50 deep",
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
        "value",
        edit(ARCHIVED, "Z'\n  evaluation", "'\n  evaluation"),
        ARCHIVED,
        "expected it to have timezone info",
    ),
    Case(
        "unknown-key",
        edit(METADATA, "schema: prompt", "schema_: prompt"),
        METADATA,
        "the key 'schema_' (did you mean 'schema'?)",
        also=frozenset({"missing-key"}),
    ),
]

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
    Fine(
        "unknown-key", edit(METADATA, "gate: {margin: 0.5", "gate: {tag_margin: 0.3, margin: 0.5")
    ),
    Fine("missing-key", edit(METADATA, ", confidence: 0.9}", "}")),
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
    Fine("example-set", lambda folder: refer(folder, kept=True)),
    Fine(UNREACHABLE, lambda folder: refer(folder, kept=True)),
    Fine("few-shot", edit(CANDIDATE, "few_shot: {count: 2}", "few_shot: {count: 1}")),
]
"""What comes close to a rule, and breaks none."""
