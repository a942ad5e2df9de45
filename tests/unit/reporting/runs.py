"""A run as `make up` writes it, cut down to what the page shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from prompt_hub.reporting.run_model import RunReport
from prompt_hub.reporting.run_page import run_page
from prompt_hub.repository.schema import JsonObject
from tests.unit.reporting.html import Reader

STARTED = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)


def at(seconds: float) -> str:
    """A moment of the run, ISO 8601."""
    return (STARTED + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


STEPS: list[tuple[str, float, str, str]] = [
    ("Models, and a local AWS, on loopback", 6.2, "ok", "started: model, AWS"),
    (
        "cdk bootstrap, cdk deploy of the pipeline: the unmodified app",
        41.8,
        "ok",
        "cdk bootstrap: 8.1 s\ncdk deploy: 33.7 s",
    ),
    ("An author commits two prompt changes and pushes", 0.9, "ok", "pushed 1c0ffee5 to main"),
    (
        "CodePipeline, as CDK synthesised it",
        312.4,
        "expected-red",
        "Succeeded Source / Source  0.4 s\nFailed    Verdict / Verdict  3.2 s",
    ),
    ("The verdicts, by real scores", 0.1, "ok", "part-class 1.1.0: PASS"),
    ("The running service answers", 2.3, "ok", ""),
    ("run_pipeline.py: a CSV of raw records becomes JSONL", 9.6, "ok", "8 records"),
    ("The provider puts a weaker model behind 'catalogue-latest'", 3.4, "ok", ""),
    ("Score watch, rollback Lambda, ledger, service", 24.7, "ok", "rolled back to 1.0.0"),
    ("The restored version is measured; the other task is untouched", 38.2, "ok", ""),
]

WHY_RED = "The execution ends red, as designed: a candidate was blocked."
LOG = "cloud/logs/codebuild/prompt-hub-verdict/6f1c.log"

SAMPLES: list[tuple[float, str, float]] = [
    (330.0, "1.1.0", 0.95),
    (391.0, "1.1.0", 0.475),
    (391.0, "1.0.0", 0.9),
    (434.0, "1.0.0", 0.925),
]
"""The score watch's measurements: seconds of the run, version, score."""

MODEL = "openai:qwen2.5-coder-0.5b-instruct-q4_k_m"


def version(task: str, name: str, score: float | None, verdict: str) -> JsonObject:
    return {
        "task": task,
        "version": name,
        "model": MODEL if name == "1.0.0" else "openai:catalogue-latest",
        "score": score,
        "threshold": 0.85,
        "baseline": 0.25,
        "verdict": verdict,
        "n": 40,
        "champion_score": 0.9,
    }


def run() -> JsonObject:
    """One whole run, rollback included."""
    steps: list[JsonObject] = []
    clock = 0.0
    for name, seconds, status, detail in STEPS:
        steps.append(
            {
                "name": name,
                "started_at": at(clock),
                "seconds": seconds,
                "status": status,
                "detail": detail,
                "note": WHY_RED if status == "expected-red" else "",
            }
        )
        clock += seconds
    source = '{"ProviderType": "GitHub", "CommitMessage": "Better part classes"}'
    actions: list[tuple[str, str, str, float, str]] = [
        ("Source", "Source", "Succeeded", 0.4, source),
        ("Build", "Synth", "Succeeded", 58.2, "412 tests passed"),
        ("UpdatePipeline", "SelfMutate", "Succeeded", 12.0, ""),
        ("Assets", "FileAsset1", "Succeeded", 4.4, ""),
        ("Evaluate", "part-class", "Succeeded", 96.1, "PASS: 0.950 ≥ 0.850"),
        ("Evaluate", "shop-category", "Succeeded", 88.7, "BLOCK: 0.725 < 0.850"),
        ("Promote", "Promote", "Succeeded", 7.9, "promoted part-class 1.1.0"),
        ("Image", "Image", "Succeeded", 11.3, ""),
        ("dev", "network.Prepare", "Succeeded", 0.1, "Change set of network: 3 changes"),
        ("dev", "network.Deploy", "Succeeded", 0.2, "Stack network: CREATE_COMPLETE"),
        ("dev", "service.Prepare", "Succeeded", 0.2, ""),
        ("dev", "service.Deploy", "Succeeded", 22.0, ""),
        ("dev", "Activate", "Succeeded", 3.1, "part-class → 1.1.0"),
        ("dev", "SmokeTest", "Succeeded", 4.8, ""),
        ("dev", "Record", "Succeeded", 1.0, ""),
        (
            "Verdict",
            "Verdict",
            "Failed",
            3.2,
            "shop-category 1.1.0 is blocked: the score 0.725 is below its threshold 0.850.",
        ),
    ]
    return {
        "schema": "prompt-hub/run@1",
        "title": "Prompt Hub: the whole lifecycle on this machine",
        "started_at": at(0),
        "finished_at": at(clock + 1.5),
        "steps": [*steps],
        "versions": [
            version("part-class", "1.1.0", 0.95, "PASS"),
            version("part-class", "1.0.0", 0.9, "RELEASED"),
            version("shop-category", "1.1.0", 0.725, "BLOCK"),
            version("shop-category", "1.0.0", 0.9, "RELEASED"),
        ],
        "timeline": [
            {"at": at(375.1), "what": "provider: catalogue-latest is now the smallest model"},
            {"at": at(391.0), "what": "score watch: part-class 1.1.0 scores 0.475"},
            {"at": at(391.9), "what": "alarm: OK to ALARM, ScoreMargin is -0.375"},
            {
                "at": at(392.8),
                "what": "ledger: rolled-back, 1.1.0 scores 0.475 below its threshold 0.850, while"
                " 1.0.0 scores 0.900 on the same data",
            },
            {"at": at(396.4), "what": "service: answered with 1.0.0"},
        ],
        "rollback": {
            "task": "part-class",
            "from": "1.1.0",
            "to": "1.0.0",
            "seconds_first_bad_sample_to_good_answer": 5.4,
            "scores_before": {"1.1.0": 0.95, "1.0.0": 0.9},
            "scores_after": {"1.1.0": 0.475, "1.0.0": 0.9},
            "restored_score": 0.9,
            "thresholds": {"1.1.0": 0.85, "1.0.0": 0.8},
            "samples": [
                {
                    "at": at(seconds),
                    "version": name,
                    "score": score,
                    "threshold": 0.85 if name == "1.1.0" else 0.8,
                }
                for seconds, name, score in SAMPLES
            ],
        },
        "pointers": [
            {
                "task": "part-class",
                "version": "1.0.0",
                "previous": None,
                "reason": "1.1.0 scores 0.475 below its threshold 0.850",
                "states": {"1.0.0": "active", "1.1.0": "quarantined"},
            },
            {
                "task": "shop-category",
                "version": "1.0.0",
                "previous": None,
                "reason": "first release",
                "states": {"1.0.0": "active"},
            },
        ],
        "executions": [
            {
                "id": "7b0c5f8e-5b7c-4f4e-9f57-0b8f2f1f4a11",
                "status": "Failed",
                "note": WHY_RED,
                "actions": [
                    {
                        "stage": stage,
                        "action": action,
                        "status": status,
                        "seconds": seconds,
                        "summary": summary,
                        "provider": "CloudFormation" if "." in action else "CodeBuild",
                        "log": LOG if action == "Verdict" else None,
                    }
                    for stage, action, status, seconds, summary in actions
                ],
            }
        ],
    }


def read(data: JsonObject) -> Reader:
    return Reader(run_page(RunReport.model_validate(data)))
