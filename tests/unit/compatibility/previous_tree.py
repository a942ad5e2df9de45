"""What the previous tree has left behind, and how a test takes a copy of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "previous_tree"
MODELS = FOLDER / "models.json"
"""Aliases of a model at an address where nothing listens: whatever is asked for is not answered."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Copy:
    """A copy of the previous tree's repository, free to be changed."""

    root: Path

    @property
    def results(self) -> Path:
        """The folder of results."""
        return self.root / ".prompt-hub" / "results"

    def json(self, name: str) -> Json:
        """A JSON file below the root."""
        return read_json(self.root / name)

    def leave_half_a_promotion(self) -> None:
        """Put the promotion there that died between its commit point and its first move."""
        left = self.root / ".prompt-hub" / "transaction"
        shutil.copytree(FOLDER / "state" / "transaction", left)
        # It had made the folders, too, but git keeps no empty one.
        for name in read_json(left / "journal.json"):
            (self.root / name).parent.mkdir(exist_ok=True)

    def forget_results(self) -> None:
        """Remove every result; the stored responses of models stay."""
        shutil.rmtree(self.results)


def copied(root: Path) -> Copy:
    """Copy repository, results and stored responses to `root`."""
    shutil.copytree(FOLDER / "repository", root)
    state = root / ".prompt-hub"
    for kind in ("results", "responses"):
        shutil.copytree(FOLDER / "state" / kind, state / kind)
    # Names with a colon in them, which not every file system takes, are quoted in git.
    for path in sorted(state.rglob("*%3A*")):
        path.rename(path.with_name(unquote(path.name)))
    return Copy(root)


def read_json(path: Path) -> Json:
    """The JSON object in a file."""
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


def read_lines(path: Path) -> list[Json]:
    """The JSON objects in a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ledger_items(stage: str) -> list[Json]:
    """Every item of a stage's ledger, in DynamoDB's own JSON."""
    return read_lines(FOLDER / "ledger" / f"{stage}-items.jsonl")


def key_of(item: Json) -> tuple[str, str]:
    """Partition and sort key of an item."""
    return item["pk"]["S"], item["sk"]["S"]


def kind_of(item: Json) -> str:
    """What an item is about: `HEAD`, `ACTIVE`, `RELEASE`, `VERSION`, `EVENT` or `SCORE`."""
    partition, sort = key_of(item)
    return sort.partition("#")[0] if partition.startswith("TASK#") else partition.partition("#")[0]


def shape(value: object) -> object:
    """The names in a JSON value, without what they stand for; a list is as its first element."""
    if isinstance(value, dict):
        return {name: shape(inside) for name, inside in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def models_at(url: str) -> str:
    """The aliases of then, answered at `url`."""
    aliases: Json = {
        alias: {**model, "base_url": f"{url}/v1"} for alias, model in read_json(MODELS).items()
    }
    return json.dumps(aliases)
