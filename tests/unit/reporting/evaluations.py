"""A repository with one evaluated task of several fields: realistic, of any size, repeatable."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import cast

from prompt_hub.core import aws_names
from prompt_hub.evaluation.record import Arm, EvaluationRecord, FieldScore, Judging, Slice, Verdict
from prompt_hub.evaluation.results import RESULTS_DIR, FolderResults
from prompt_hub.gate.types import Difference, Power, Status
from prompt_hub.promotion.transitions import refuse
from prompt_hub.reporting.evaluation import EvaluationView, read_view
from prompt_hub.reporting.sources import Evaluations
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Example, JsonObject
from prompt_hub.scoring import ScorerResult, weighted_mean
from prompt_hub.scoring.metadata import read_metadata
from tests.unit.kept_folder import KeptFolder
from tests.unit.reporting.history import (
    AT,
    COMMIT,
    FIELDS,
    MODEL,
    TASK,
    _sha256,
    jsonl,
    layers,
    prompt,
)

EXECUTION = "local"

MAKERS = (
    ("Yageo Corporation", "Yageo"),
    ("Murata Manufacturing Co., Ltd.", "Murata"),
    ("KEMET Electronics Corporation", "KEMET"),
    ("Vishay Intertechnology, Inc.", "Vishay"),
    ("TE Connectivity Ltd.", "TE Connectivity"),
    ("TDK", "TDK"),
    ("Würth Elektronik eiSos GmbH & Co. KG", "Würth Elektronik"),
    ("Molex", "Molex"),
)
PACKAGES = ("0402", "0603", "0805", "1206", "1210", "through hole")


@dataclass(frozen=True)
class Spec:
    """What to build.

    `examples` are scored; `repeats` is how often each is asked; `judged` adds a judge with three
    votes; `failing` examples of the candidate got no answer; `text` stands in free texts; `spelled`
    writes values without their space, which their scorer counts as the same.
    """

    examples: int = 48
    repeats: int = 1
    judged: bool = False
    failing: int = 0
    priced: bool = True
    champion: bool = True
    text: str = ""
    spelled: bool = False
    padding: int = 0
    status: Status = Status.PASS
    seed: int = 7


@dataclass
class Built:
    """The repository on disk, and its evaluation as the product finds it."""

    root: Path
    spec: Spec
    record: EvaluationRecord
    details: list[JsonObject] = field(default_factory=list)

    @property
    def evaluations(self) -> Evaluations:
        """What the report command reads."""
        return Evaluations(
            PromptRepository(self.root), FolderResults(self.root / RESULTS_DIR), EXECUTION
        )

    @property
    def record_path(self) -> Path:
        """Where the evaluation's record lies."""
        return self.root / RESULTS_DIR / aws_names.evaluation_key(EXECUTION, TASK)

    @property
    def details_path(self) -> Path:
        """Where its details lie."""
        return self.record_path.with_suffix(".jsonl")


@cache
def _kept(spec: Spec) -> tuple[Built, KeptFolder]:
    with TemporaryDirectory() as folder:
        built = build(Path(folder), spec)
        return built, KeptFolder.read(built.root)


def written(root: Path, spec: Spec) -> Built:
    """What `build` makes, made once and written for every test that wants one of its own."""
    built, folder = _kept(spec)
    return replace(built, root=folder.write(root), details=[*built.details])


def build(root: Path, spec: Spec = Spec()) -> Built:
    """Write the repository, its history and the evaluation of the candidate."""
    chance = random.Random(spec.seed)
    examples = [_example(chance, number, spec) for number in range(spec.examples)]
    repository = layers(root, examples)
    arms: dict[str, list[JsonObject]] = {
        "candidate": _answered(chance, "candidate", examples, spec)
    }
    if spec.champion:
        arms["champion"] = _answered(chance, "champion", examples, spec)
    record = _record(repository, spec, examples, arms)
    built = Built(root, spec, record, [line for lines in arms.values() for line in lines])
    built.record_path.parent.mkdir(parents=True, exist_ok=True)
    built.record_path.write_text(record.to_json(), encoding="utf-8")
    built.details_path.write_text(jsonl(built.details), encoding="utf-8")
    return built


def _example(chance: random.Random, number: int, spec: Spec) -> Example:
    kind = chance.choice(("resistor", "capacitor", "inductor", "connector"))
    legal, brand = chance.choice(MAKERS)
    package = chance.choice(PACKAGES)
    size = chance.choice((1, 2.2, 4.7, 10, 22, 47, 100, 220, 470))
    value = {
        "resistor": f"{size} kΩ",
        "capacitor": f"{size} nF",
        "inductor": f"{size} µH",
        "connector": f"{chance.randint(2, 40)} pins",
    }[kind]
    words = {
        "resistor": f"Thick film resistor {value} ±1 % 1/8 W {package}",
        "capacitor": f"Ceramic capacitor {value} 50 V X7R {package}",
        "inductor": f"Power inductor {value} ±20 % shielded {package}",
        "connector": f"Board connector {value} 2.54 mm {package}",
    }[kind]
    series = "".join(chance.choice("ABCDEFGHKLMNRSTX") for _ in range(4))
    part = f"{series}{chance.randint(100, 999)}-{chance.randint(10, 99)}{chance.choice('KJMZ')}"
    return Example(
        id=f"{brand.split()[0].lower()}-{part.lower()}-{number}",
        input={
            "part_number": part,
            "title": f"{words}{spec.text}{' x' * spec.padding}",
            "manufacturer": legal,
        },
        expected={"part_class": kind, "package": package, "value": value, "brand": brand},
        tags=(kind, *(["legal name"] if legal != brand else [])),
    )


_WRONG = {
    "candidate": {"part_class": 0.18, "package": 0.27, "value": 0.33, "brand": 0.27},
    "champion": {"part_class": 0.22, "package": 0.36, "value": 0.37, "brand": 0.31},
}


def _wrong(chance: random.Random, name: str, wanted: str, example: Example) -> str | None:
    if name == "brand":
        return cast(str, example.input["manufacturer"])
    if name == "part_class":
        return chance.choice([k for k in ("resistor", "capacitor", "diode") if k != wanted])
    if name == "package":
        return chance.choice((None, f"SMD {wanted}", "0201"))
    return wanted.split(" ", maxsplit=1)[0]


def _answered(
    chance: random.Random, arm: str, examples: Sequence[Example], spec: Spec
) -> list[JsonObject]:
    lines = []
    for index, example in enumerate(examples):
        # What is hard for one arm is hard for the other, too.
        luck = random.Random(f"{spec.seed}{example.id}")
        wrong = {
            name
            for name in FIELDS
            if 0.8 * luck.random() + 0.2 * chance.random() < _WRONG[arm][name]
        }
        for repeat in range(spec.repeats):
            line: JsonObject = {"arm": arm, "id": example.id}
            if repeat:
                line["repeat"] = repeat
            if arm == "candidate" and index < spec.failing:
                line |= {"score": None, "error": "the model gave no answer: 503 after 5 attempts."}
                lines.append(line)
                continue
            # In the order of the fields: that of a set is another in every process.
            slips = [
                name
                for name in FIELDS
                if name in wrong and (spec.repeats == 1 or chance.random() < 0.7)
            ]
            output = {
                name: _wrong(chance, name, str(example.expected[name]), example)
                if name in slips
                else example.expected[name]
                for name in FIELDS
            }
            if spec.text and slips:
                output["brand"] = f"{output['brand']}{spec.text}"
            parts = _parts(chance, example, output, spec)
            if spec.spelled and "value" not in slips:
                output["value"] = str(output["value"]).replace(" ", "")
            tokens_in = 96 + len(str(example.input)) // 4
            tokens_out = 18 + len(str(output)) // 5
            line |= {
                "score": weighted_mean(parts),
                "answer": json.dumps(output, ensure_ascii=False),
                "parts": [part.to_line() for part in parts],
                "tokens": [tokens_in, tokens_out],
                "usd": (tokens_in * 0.4 + tokens_out * 1.6) / 1e6 if spec.priced else None,
                "seconds": round(
                    chance.lognormvariate(-0.6 if arm == "candidate" else -0.4, 0.45), 4
                ),
                "attempts": 2 if chance.random() < 0.02 else 1,
            }
            if chance.random() < 0.05:
                line["cached"] = True
            lines.append(line)
    return lines


def _parts(
    chance: random.Random, example: Example, output: JsonObject, spec: Spec
) -> tuple[ScorerResult, ...]:
    weights = {"part_class": 2, "package": 1, "value": 1, "brand": 1}
    right = {name: output[name] == example.expected[name] for name in FIELDS}
    lost = [
        f"{name}: expected {example.expected[name]!r}, got {output[name]!r}"
        for name in FIELDS
        if not right[name]
    ]
    parts = [
        ScorerResult(
            "json_fields",
            sum(weights[name] for name in FIELDS if right[name]) / 5,
            1.0,
            "; ".join(lost),
            fields={
                name: (float(right[name]), int(output[name] is not None), 1) for name in FIELDS
            },
        )
    ]
    if spec.judged:
        votes = tuple(1.0 if not lost else chance.choice((0.25, 0.5, 0.5, 0.75)) for _ in range(3))
        grade = fmean(votes)
        loss = "" if grade == 1 else f"judged {1 + 4 * grade:.1f} of 5: names another thing"
        parts.append(ScorerResult("judge", grade, 0.5, loss, votes=votes))
    return tuple(parts)


def _scores(lines: Sequence[JsonObject]) -> dict[str, float]:
    scores: dict[str, list[float]] = {}
    for line in lines:
        if line["score"] is not None:
            scores.setdefault(str(line["id"]), []).append(cast(float, line["score"]))
    return {name: fmean(values) for name, values in scores.items()}


def _record(
    repository: PromptRepository,
    spec: Spec,
    examples: Sequence[Example],
    arms: dict[str, list[JsonObject]],
) -> EvaluationRecord:
    candidate = _arm("1.3.0", arms["candidate"], examples, spec)
    champion = _arm("1.2.0", arms["champion"], examples, spec) if spec.champion else None
    threshold = 0.8
    if spec.failing:
        status = Status.NOT_MEASURED
        reasons: tuple[str, ...] = ("the model gave no answer: 503 after 5 attempts.",)
    else:
        status = spec.status
        word = "reaches" if (candidate.score or 0) >= threshold else "is below"
        reasons = (f"score {candidate.score:.3f} {word} the threshold {threshold:.3f}",)
    comparison, tags = None, {}
    if spec.champion and not spec.failing:
        pairs = [_scores(arms[name]) for name in ("candidate", "champion")]
        comparison = _difference(pairs[0], pairs[1], list(pairs[0]))
        for tag in sorted({tag for example in examples for tag in example.tags}):
            tagged = [example.id for example in examples if tag in example.tags]
            tags[tag] = _difference(pairs[0], pairs[1], tagged)
        reasons += (
            f"against the champion {comparison.difference:+.3f} on {comparison.n} shared examples"
            f" ({comparison.low:+.3f} to {comparison.high:+.3f}), 90% sure: not worse by 0.050",
        )
    n = len(examples)
    reasons += (f"power: with these {n} examples a drop of 0.09 would be seen (probability 0.8)",)
    return EvaluationRecord(
        schema_="prompt-hub/evaluation@1",
        task=TASK,
        version="1.3.0",
        execution=EXECUTION,
        commit=COMMIT,
        digest="d" * 64,
        examples_sha256=repository.examples_sha256(TASK),
        metadata_sha256=read_metadata(repository, TASK).sha256,
        scorers_version="2",
        gate_version="1",
        threshold=threshold,
        baseline=0.31,
        candidate=candidate,
        champion=champion,
        champion_sha256=_sha256("1.2.0") if spec.champion else None,
        judge=Judging(
            task="judge",
            version="1.0.0",
            sha256="a" * 64,
            model="openai:gpt-4.1-2026-04",
            votes=3,
            agreement=0.81,
            votes_agree=None,
        )
        if spec.judged
        else None,
        agreement=None,
        verdict=Verdict(
            status=status,
            reasons=reasons,
            comparison=comparison,
            tags=tags,
            power=Power(n=n, margin=0.05, detectable=round(0.62 / math.sqrt(n), 3), needed=154)
            if comparison
            else None,
            looks=1 if n < 200 else 2,
            overridden_by=None,
        ),
        started_at=AT,
        finished_at=AT + timedelta(seconds=3 + n / 12),
        remembered=False,
    )


def _difference(
    candidate: dict[str, float], champion: dict[str, float], ids: Sequence[str]
) -> Difference:
    values = [candidate[name] - champion[name] for name in ids]
    half = 1.645 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 1.0
    mean = fmean(values)
    return Difference(n=len(values), difference=mean, low=mean - half, high=mean + half)


def _arm(version: str, lines: Sequence[JsonObject], examples: Sequence[Example], spec: Spec) -> Arm:
    scores = _scores(lines)
    asked = len(examples)
    score = fmean(scores.values()) if len(scores) == asked else None
    half = 1.645 * math.sqrt((score or 0.5) * (1 - (score or 0.5)) / asked)
    counts = dict.fromkeys(FIELDS, (0.0, 0, 0))
    for line in lines:
        for part in cast("list[JsonObject]", line.get("parts", [])):
            found = cast("dict[str, list[float]]", part.get("fields", {}))
            for name, (matched, given, wanted) in found.items():
                before = counts[name]
                counts[name] = (
                    before[0] + matched,
                    before[1] + int(given),
                    before[2] + int(wanted),
                )
    tags: dict[str, list[float]] = {}
    for example in examples:
        for tag in example.tags:
            if example.id in scores:
                tags.setdefault(tag, []).append(scores[example.id])
    tokens = [cast("list[int]", line["tokens"]) for line in lines if "tokens" in line]
    costs = [cast(float, line["usd"]) for line in lines if line.get("usd") is not None]
    seconds = sorted(cast(float, line["seconds"]) for line in lines if "seconds" in line)
    item = prompt(version)
    return Arm(
        version=version,
        sha256=item.sha256,
        alias=MODEL.alias,
        model=MODEL.identity,
        parameters={str(name): value for name, value in item.model.parameters.items()},
        answered_by=("gpt-4.1-mini-2026-04-14",),
        score=score,
        interval=(max(0.0, score - half), min(1.0, score + half)) if score else (0.0, 1.0),
        n=len(scores),
        unmeasured=asked - len(scores),
        tokens_in=sum(pair[0] for pair in tokens),
        tokens_out=sum(pair[1] for pair in tokens),
        usd=sum(costs) if costs else None,
        seconds=round(sum(seconds) / 12, 3),
        repeats=spec.repeats,
        cached=sum(bool(line.get("cached")) for line in lines),
        seconds_p50=seconds[len(seconds) // 2] if seconds else None,
        seconds_p95=seconds[int(len(seconds) * 0.95)] if seconds else None,
        fields={
            name: FieldScore(matched=matched, given=given, wanted=wanted)
            for name, (matched, given, wanted) in counts.items()
        },
        tags={tag: Slice(score=fmean(values), n=len(values)) for tag, values in tags.items()},
    )


Builder = Callable[..., Built]


def view_of(built: Built) -> EvaluationView:
    """What a report of the evaluation shows."""
    evaluations = built.evaluations
    return read_view(evaluations, evaluations.find(TASK))


def log(built: Built, version: str, **update: object) -> None:
    """A record in `04-evals`, its details beside it."""
    folder = built.root / "prompts" / "04-evals" / TASK
    folder.mkdir(parents=True, exist_ok=True)
    record = built.record.model_copy(update={"version": version, **update})
    (folder / f"{version}.json").write_text(record.to_json(), encoding="utf-8")
    details = built.details_path.read_text(encoding="utf-8")
    (folder / f"{version}.jsonl").write_text(details, encoding="utf-8")


def refused(root: Path) -> Built:
    """A repository in which promotion has left a candidate open, and committed so."""
    built = written(root, Spec(examples=12, status=Status.INCONCLUSIVE))
    details = built.details_path.read_text(encoding="utf-8")
    changes = refuse(built.evaluations.repository, built.record, details, AT + timedelta(days=1))
    for name, text in changes.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or "", encoding="utf-8")
    return built
