"""Ways to break a healthy repository, and what a rule must say of each."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.unit.building import RepositoryFolder

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


def _commit(folder: RepositoryFolder, file: str) -> None:
    git = ("git", "-C", str(folder.root), "-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (["init"], ["add", "--all", file], ["commit", "--message", "promote"]):
        subprocess.run([*git, *words], check=True, capture_output=True)


def lost(file: str) -> Callable[[RepositoryFolder], None]:
    """Commit a file, then delete it."""

    def damage(folder: RepositoryFolder) -> None:
        folder.write(file, "{}\n")
        _commit(folder, file)
        folder.path(file).unlink()

    return damage


def begun_anew(file: str, metadata: str) -> Callable[[RepositoryFolder], None]:
    """Commit a file and the metadata of its task, then that both are gone, and make it again."""

    def damage(folder: RepositoryFolder) -> None:
        lost(file)(folder)
        _commit(folder, metadata)
        text = folder.path(metadata).read_bytes()
        folder.path(metadata).unlink()
        _commit(folder, "prompts")
        folder.path(metadata).write_bytes(text)

    return damage


def link(folder: RepositoryFolder) -> None:
    outside = folder.root.parent / "outside.yaml"
    outside.write_text("secret: true\n")
    folder.path("prompts/00-templates/leak.yaml").symlink_to(outside)


def move_prompts(where: str) -> Callable[[RepositoryFolder], None]:
    """All prompts lie somewhere else, and a link in their place."""

    def move(folder: RepositoryFolder) -> None:
        prompts = folder.path("prompts")
        shutil.move(prompts, folder.root / where)
        prompts.symlink_to(where)

    return move


def released_as(version: str) -> Callable[[RepositoryFolder], None]:
    """The candidate goes back to `version`, whose content is another."""
    return lambda folder: folder.bump("part-class", "1.2.0", version)


@dataclass(frozen=True)
class Fine:
    """A change that comes close to breaking a rule, and does not."""

    rule: str
    change: Callable[[RepositoryFolder], object] = lambda folder: None

    def __str__(self) -> str:
        return self.rule


def template(text: str) -> Callable[[RepositoryFolder], None]:
    return edit(CANDIDATE, "{{ title }}", text)


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
