"""Write `docs/costs.md`: what an installation costs a month, counted in its templates.

`make pages` synthesises the shipped example and brings the page up to date; `python -m
docs.costs_page FOLDER --to FILE` writes another installation's. Prices stand here and nowhere else;
what is counted comes from the templates.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from docs.installation_counts import HOURS, CostsError, Counts, count
from docs.synthesised import AssemblyError, read_resources

PAGE = Path(__file__).parent / "costs.md"
PRICES_OF = "mid-2026"
REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class Price:
    """What AWS asks for one unit, in US dollars."""

    what: str
    usd: float
    unit: str
    source: str


_AWS = "https://aws.amazon.com"
NAT = Price(what="NAT gateway", usd=0.045, unit="hour", source=f"{_AWS}/vpc/pricing/")
NAT_GB = Price(what="NAT gateway, data", usd=0.045, unit="GB", source=f"{_AWS}/vpc/pricing/")
IPV4 = Price(what="public IPv4 address", usd=0.005, unit="hour", source=f"{_AWS}/vpc/pricing/")
ENDPOINT = Price(
    what="interface endpoint in one zone",
    usd=0.01,
    unit="hour",
    source=f"{_AWS}/privatelink/pricing/",
)
BALANCER = Price(
    what="application load balancer",
    usd=0.0225,
    unit="hour",
    source=f"{_AWS}/elasticloadbalancing/pricing/",
)
VCPU = Price(what="Fargate, vCPU", usd=0.04048, unit="hour", source=f"{_AWS}/fargate/pricing/")
MEMORY = Price(what="Fargate, GB", usd=0.004445, unit="hour", source=f"{_AWS}/fargate/pricing/")
METRIC = Price(
    what="metric of one's own", usd=0.30, unit="month", source=f"{_AWS}/cloudwatch/pricing/"
)
ALARM = Price(
    what="alarm, for each metric that it looks at",
    usd=0.10,
    unit="month",
    source=f"{_AWS}/cloudwatch/pricing/",
)
DASHBOARD = Price(what="dashboard", usd=3.0, unit="month", source=f"{_AWS}/cloudwatch/pricing/")
LOGS_GB = Price(what="logs taken in", usd=0.50, unit="GB", source=f"{_AWS}/cloudwatch/pricing/")
READ = Price(
    what="DynamoDB, on demand, million reads of at most 4 kB",
    usd=0.125,
    unit="million",
    source=f"{_AWS}/dynamodb/pricing/on-demand/",
)
BUILD = Price(
    what="CodeBuild, general1.small", usd=0.005, unit="minute", source=f"{_AWS}/codebuild/pricing/"
)
ACTION = Price(
    what="CodePipeline V2, an action",
    usd=0.002,
    unit="minute",
    source=f"{_AWS}/codepipeline/pricing/",
)
PRICES = (
    NAT,
    NAT_GB,
    IPV4,
    ENDPOINT,
    BALANCER,
    VCPU,
    MEMORY,
    METRIC,
    ALARM,
    DASHBOARD,
    LOGS_GB,
    READ,
    BUILD,
    ACTION,
)

# --- What no template says ---------------------------------------------------------------------

METRICS_OF_A_TASK = 7
"""Heartbeat; score, threshold and margin, each by task and by active version."""
METRICS_OF_CALLS = 5
"""Of a task's active version: seconds, contract failures, tokens in and out, US dollars."""
METRICS_OF_ALARMS = 1
"""Of a task, whatever version answers: contract failures."""
METRICS_OF_INSIGHTS = 30
"""About: what Container Insights reports of one cluster, one service and one family of tasks."""
WATCH_START_SECONDS = 60
"""Of a run of the watch, until it measures: the least that Fargate asks for."""
WATCH_TASK_SECONDS = 40
"""Of a task in such a run; tasks wait for one another (docs/decisions/1540)."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a month of an installation is assumed to be."""

    name: str
    tasks: int
    executions: int
    """Of the pipeline."""
    action_minutes: int
    """Minutes of one action, rounded up as AWS does; a build takes as long."""
    nat_gigabytes: float
    log_gigabytes: float
    examples: int
    """Asked by the watch in one round of one task."""
    tokens_in: int
    tokens_out: int
    usd_in: float
    """A million tokens of the model."""
    usd_out: float


IDLE = Usage(
    name="idle",
    tasks=2,
    executions=0,
    action_minutes=2,
    nat_gigabytes=1,
    log_gigabytes=0.1,
    examples=48,
    tokens_in=300,
    tokens_out=20,
    usd_in=0.15,
    usd_out=0.60,
)
BUSY = replace(IDLE, name="busy", tasks=20, executions=60, nat_gigabytes=50, log_gigabytes=20)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the bill, how it is calculated, and its sum in US dollars a month."""

    what: str
    formula: str
    usd: float


def bill(counts: Counts, usage: Usage) -> list[Line]:
    """Calculate a month's bill, line by line."""
    task_hour = _task_hour(counts)
    of_a_task = METRICS_OF_A_TASK + METRICS_OF_CALLS + METRICS_OF_ALARMS
    metrics = METRICS_OF_INSIGHTS + of_a_task * usage.tasks
    alarms = counts.alarms_of_a_stage + counts.alarms_of_a_task * usage.tasks
    polls = counts.service_tasks * HOURS * 3600 / counts.poll_seconds / 1e6
    minutes = usage.executions * usage.action_minutes
    evaluations = usage.tasks * (ACTION.usd + BUILD.usd)
    runs = _runs_of(counts, usage.tasks)
    calls = usage.tasks * usage.examples * runs
    call_usd = (usage.tokens_in * usage.usd_in + usage.tokens_out * usage.usd_out) / 1e6
    return [
        Line(
            what="way out of the network",
            formula=f"{counts.nat_gateways} NAT × {HOURS} h × {NAT.usd}"
            f" + {counts.addresses} address × {HOURS} h × {IPV4.usd}"
            f" + {counts.endpoint_zones} endpoints in a zone × {HOURS} h × {ENDPOINT.usd}"
            f" + {usage.nat_gigabytes:g} GB × {NAT_GB.usd}",
            usd=HOURS
            * (
                counts.nat_gateways * NAT.usd
                + counts.addresses * IPV4.usd
                + counts.endpoint_zones * ENDPOINT.usd
            )
            + (usage.nat_gigabytes * NAT_GB.usd if counts.nat_gateways else 0),
        ),
        Line(
            what="load balancer",
            formula=f"{counts.balancers} × {HOURS} h × {BALANCER.usd}",
            usd=counts.balancers * HOURS * BALANCER.usd,
        ),
        Line(
            what="service",
            formula=f"{counts.service_tasks} × {HOURS} h × ({counts.vcpu:g} vCPU × {VCPU.usd}"
            f" + {counts.gigabytes:g} GB × {MEMORY.usd})",
            usd=counts.service_tasks * HOURS * task_hour,
        ),
        Line(
            what="score watch, its containers",
            formula=f"{runs:.0f} runs × ({WATCH_START_SECONDS} s + {usage.tasks} tasks"
            f" × {WATCH_TASK_SECONDS} s) of such a container",
            usd=runs * _run_seconds(usage.tasks) / 3600 * task_hour,
        ),
        Line(
            what="metrics",
            formula=f"({METRICS_OF_INSIGHTS} + ({METRICS_OF_A_TASK} + {METRICS_OF_CALLS}"
            f" + {METRICS_OF_ALARMS}) × {usage.tasks} tasks)"
            f" × {METRIC.usd}",
            usd=metrics * METRIC.usd,
        ),
        Line(
            what="alarms",
            formula=f"({counts.alarms_of_a_stage} + {counts.alarms_of_a_task} × {usage.tasks}"
            f" tasks) × {ALARM.usd}",
            usd=alarms * ALARM.usd,
        ),
        Line(
            what="dashboards",
            formula=f"{counts.dashboards} × {DASHBOARD.usd:g}",
            usd=counts.dashboards * DASHBOARD.usd,
        ),
        Line(
            what="ledger",
            formula=f"{counts.service_tasks} × {HOURS} h × 3600 s / {counts.poll_seconds:g} s"
            f" / 1,000,000 looks × {READ.usd}",
            usd=polls * READ.usd,
        ),
        Line(
            what="logs",
            formula=f"{usage.log_gigabytes:g} GB × {LOGS_GB.usd}",
            usd=usage.log_gigabytes * LOGS_GB.usd,
        ),
        Line(
            what="pipeline",
            formula=f"{usage.executions} executions × {usage.action_minutes} min"
            f" × ({counts.actions} actions × {ACTION.usd} + {counts.builds} builds × {BUILD.usd}"
            f" + {usage.tasks} tasks × ({ACTION.usd} + {BUILD.usd}))",
            usd=minutes * (counts.actions * ACTION.usd + counts.builds * BUILD.usd + evaluations),
        ),
        Line(
            what="score watch, its model calls",
            formula=f"{usage.tasks} tasks × {usage.examples} examples × {runs:.0f}"
            f" runs = {calls:,.0f} calls × ({usage.tokens_in} in × {usage.usd_in}"
            f" + {usage.tokens_out} out × {usage.usd_out}) / 1,000,000",
            usd=calls * call_usd,
        ),
    ]


def total(lines: Iterable[Line]) -> float:
    """Add the lines of a bill up."""
    return sum(line.usd for line in lines)


def costs_page(counts: Counts) -> str:
    """Write the page for what was counted."""
    return "\n".join(
        [
            _HEAD.format(
                region=REGION, date=PRICES_OF, start=WATCH_START_SECONDS, task=WATCH_TASK_SECONDS
            ),
            *(part for usage in (IDLE, BUSY) for part in _table(counts, usage)),
            *_growth(counts),
            _PRICES_HEAD.format(region=REGION, date=PRICES_OF),
            *(f"| [{p.what}]({p.source}) | {p.usd:g} | {p.unit} |" for p in PRICES),
            "",
        ]
    )


_HEAD = """\
# What it costs

Written by `make pages`; do not edit. One installation with one stage, in {region}, at list prices
of {date} without free tiers, US dollars a month. What is counted (gateways, tasks, alarms,
actions) comes from synthesised templates, in this repository those of the example that it ships:
its `cdk.json`, kept in `docs/example_context.json`. What no template knows is said in the formulas.
Sums are estimates, not offers: taxes, discounts and support are not in them. For your own, in an
active `.venv`: `npx cdk synth --output FOLDER`, then `python -m docs.costs_page FOLDER --to FILE`;
of several stages it counts the first.

A line of the bill is what is counted times what a unit costs, as its formula says in numbers. A run
of the score watch is one container, in which tasks wait for one another: about {start} seconds to
start and {task} for each ([1540](decisions/1540-one-run-measures-what-is-due.md)).
"""

_PRICES_HEAD = """
## Prices

List prices in {region}, as the linked pages and articles on them had them in {date}; look there
before you rely on one. They are constants in `docs/costs_page.py`: after a change, `make pages`.

| unit | US dollars | a |
|---|---:|---|"""


def _table(counts: Counts, usage: Usage) -> list[str]:
    lines = bill(counts, usage)
    largest = max(lines, key=lambda line: line.usd)
    return [
        f"## {usage.name.capitalize()}",
        "",
        f"{usage.tasks} tasks, watched every {_interval_seconds(counts) / 60:g} minutes with"
        f" {usage.examples} examples each; {usage.executions} executions of the pipeline.",
        "",
        "| line | formula | US dollars |",
        "|---|---|---:|",
        *(f"| {line.what} | {line.formula} | {line.usd:,.2f} |" for line in lines),
        f"| **sum** | | **{total(lines):,.2f}** |",
        "",
        f"The largest line: {largest.what}, {largest.usd / total(lines):.0%}.",
        "",
    ]


def _growth(counts: Counts) -> list[str]:
    """Say what one more task costs, and one more stage."""
    fixed = (
        METRICS_OF_A_TASK + METRICS_OF_CALLS + METRICS_OF_ALARMS
    ) * METRIC.usd + counts.alarms_of_a_task * ALARM.usd
    idle = bill(counts, IDLE)
    calls = idle[-1].usd / IDLE.tasks
    # What there is once: the pipeline's line, and the toolchain's own dashboard.
    once = idle[-2].usd + counts.toolchain_dashboards * DASHBOARD.usd
    container = counts.watch_runs * WATCH_TASK_SECONDS / 3600 * _task_hour(counts)
    most = int((_interval_seconds(counts) - WATCH_START_SECONDS) // WATCH_TASK_SECONDS)
    return [
        "## One more",
        "",
        f"- A prompt task: {fixed:.2f} for metrics and alarms, {container:.2f} for the watch's"
        f" container, {calls:.2f} for its",
        "  model calls. `score_watch` in its metadata sets the interval and, with `calls_a_day`, a",
        f"  limit ([prompts](prompts.md#metadata)). With more than {most} tasks a run takes longer",
        "  than the interval: tasks are then measured as often as it comes round, and cost less.",
        f"- A stage: {total(idle) - once:.2f} with two tasks, idle.",
        f"- A version that is measured beside the active one: {3 * METRIC.usd:.2f} while it is.",
        "- Another version of a task that answered in the month, for its calls' metrics:"
        f" {METRICS_OF_CALLS * METRIC.usd:.2f},",
        "  or less, by the hours in which it was called.",
        "- What seldom happens is a metric in the hours in which it does,"
        f" {METRIC.usd:.2f} a month at most: changes of",
        "  version (for each task), calls refused and over quota (for each stage), decisions of",
        "  the rollback (for each kind).",
        f"- An interface endpoint in a zone, instead of NAT gateways: {ENDPOINT.usd * HOURS:.2f}.",
        "- An hour of each container that answers a file of records, beside its model calls:"
        f" {_task_hour(counts):.3f}.",
        f"- An hour that a release soaks in a stage: {60 * (BUILD.usd + ACTION.usd):.2f}.",
        "",
        "Not in the sums, because they are cents or follow traffic: load balancer capacity units,",
        "S3, ECR, Lambda, SNS, EventBridge, Step Functions, X-Ray, data to the internet, model",
        "calls of callers, of files of records and of evaluations. The last two say their price",
        "before they ask ([records](records.md), [model calls](model-calls.md)).",
    ]


def _task_hour(counts: Counts) -> float:
    """Return what an hour of one container of the service or the watch costs."""
    return counts.vcpu * VCPU.usd + counts.gigabytes * MEMORY.usd


def _interval_seconds(counts: Counts) -> float:
    return HOURS * 3600 / counts.watch_runs


def _run_seconds(tasks: int) -> int:
    return WATCH_START_SECONDS + tasks * WATCH_TASK_SECONDS


def _runs_of(counts: Counts, tasks: int) -> float:
    """Return how many runs a month has room for: where one takes too long, the next one waits."""
    return HOURS * 3600 / max(_interval_seconds(counts), _run_seconds(tasks))


def main(argv: list[str] | None = None) -> None:
    """Write the page; ends with one sentence where there is nothing to count."""
    parser = argparse.ArgumentParser(prog="python -m docs.costs_page", description=__doc__)
    parser.add_argument("folder", type=Path, help="what `cdk synth` wrote")
    parser.add_argument("--to", type=Path, default=PAGE, help=f"the page (default {PAGE.name})")
    options = parser.parse_args(argv)
    try:
        page = costs_page(count(read_resources(options.folder)))
    except (AssemblyError, CostsError) as error:
        sys.exit(str(error))
    options.to.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
