"""The page of costs says what the templates of the example say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cdk_app.settings import CONTEXT_KEY
from docs import costs_page, example_app
from docs.installation_counts import CostsError, count
from docs.synthesised import Resource, read_resources
from tests.infrastructure.synthesised import Assembly, task

pytestmark = pytest.mark.shipped


def rows(page: str) -> dict[str, list[tuple[str, str, float]]]:
    """The lines of each bill on the page: what, formula and sum."""
    return {
        name: [
            (what, formula, float(usd.replace(",", "")))
            for what, formula, usd in re.findall(
                r"^\| ([^|*]+) \| (.+) \| ([\d,.]+) \|$", table, re.M
            )
        ]
        for name, table in re.findall(r"^## (Idle|Busy)\n(.*?)(?=^## )", page, re.M | re.S)
    }


def test_the_page_of_costs_is_up_to_date(resources: list[Resource]) -> None:
    page = costs_page.PAGE.read_text(encoding="utf-8")
    assert page == costs_page.costs_page(count(resources)), "run `make pages`"


@pytest.mark.parametrize("name", ["Idle", "Busy"])
def test_each_formula_on_the_page_gives_its_sum(name: str) -> None:
    page = costs_page.PAGE.read_text(encoding="utf-8")
    lines = rows(page)[name]
    assert len(lines) == 11
    for what, formula, usd in lines:
        assert worth(what, formula) == pytest.approx(usd, abs=0.06), formula
    (total,) = re.findall(rf"^## {name}\n.*?\*\*([\d,.]+)\*\*", page, re.M | re.S)
    assert float(total.replace(",", "")) == pytest.approx(sum(usd for *_, usd in lines), abs=0.06)


def worth(what: str, formula: str) -> float:
    """Calculate a formula as it is printed: the page may be read without its code."""
    if what == "score watch, its containers":
        runs, start, tasks, seconds = map(int, re.findall(r"\d+", formula))
        container = 0.25 * 0.04048 + 0.5 * 0.004445
        return runs * (start + tasks * seconds) / 3600 * container
    text = re.sub(r"= [\d,]+ calls ", "", formula).replace(",", "").replace("×", "*")
    arithmetic = re.sub(r"[A-Za-z][A-Za-z ]*", "", text)
    assert re.fullmatch(r"[\d.+*/() ]+", arithmetic), arithmetic
    return float(eval(arithmetic))


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("AWS::EC2::NatGateway", "nat_gateways"),
        ("AWS::EC2::EIP", "addresses"),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", "balancers"),
        ("AWS::CloudWatch::Alarm", "alarms_of_a_stage"),
    ],
)
def test_one_resource_more_is_counted(resources: list[Resource], kind: str, field: str) -> None:
    before = count(resources)
    more = next(resource for resource in resources if resource.kind == kind)
    after = count([*resources, replace(more, properties={})])
    assert getattr(after, field) == getattr(before, field) + 1
    assert costs_page.total(costs_page.bill(after, costs_page.IDLE)) > costs_page.total(
        costs_page.bill(before, costs_page.IDLE)
    )


def test_every_action_but_the_evaluations_and_approvals_is_counted(
    example: Assembly, resources: list[Resource]
) -> None:
    counts = count(resources)
    kinds = [action["ActionTypeId"] for action in example.actions.values()]
    assert not any(kind["Category"] == "Approval" for kind in kinds)
    tasks = len(example_app.TASKS)
    assert counts.actions == len(kinds) - tasks
    assert counts.builds == sum(kind["Provider"] == "CodeBuild" for kind in kinds) - tasks
    # On its score, on silence, and on contracts, which looks at two metrics.
    assert counts.alarms_of_a_task == 4
    assert counts.service_tasks == 1
    assert counts.watch_runs == 730 * 4


def test_the_build_of_the_tests_is_paid_for(resources: list[Resource]) -> None:
    pipeline = next(item for item in resources if item.kind == "AWS::CodePipeline::Pipeline")
    less = json.loads(json.dumps(pipeline.properties))
    (evaluate,) = [stage for stage in less["Stages"] if stage["Name"] == "Evaluate"]
    evaluate["Actions"] = [item for item in evaluate["Actions"] if item["Name"] != "Tests"]
    others = [item for item in resources if item is not pipeline]
    without = count([*others, replace(pipeline, properties=less)])
    assert count(resources).builds == without.builds + 1


def test_one_task_more_changes_no_count(
    synthesise: Callable[..., Assembly], resources: list[Resource]
) -> None:
    settings = example_app.CONTEXT[CONTEXT_KEY]
    more = synthesise(settings, tasks=(*example_app.TASKS, task("third")))
    assert count(read_resources(more.path)) == count(resources)


def test_of_two_stages_the_first_is_counted(
    synthesise: Callable[..., Assembly], resources: list[Resource], tmp_path: Path
) -> None:
    """And an hourly watch as well as one of minutes."""
    shipped = json.loads(json.dumps(example_app.CONTEXT[CONTEXT_KEY]))
    (dev,) = shipped["stages"]
    prod = {**dev, "name": "prod", "vpc_cidr": "10.21.0.0/16", "approval": True, "drill": False}
    two = synthesise({**shipped, "stages": [dev, prod]}, tasks=(task("hourly", every_minutes=60),))
    page = tmp_path / "costs.md"
    costs_page.main([str(two.path), "--to", str(page)])
    assert "watched every 60 minutes" in page.read_text(encoding="utf-8")
    assert count(read_resources(two.path)) == replace(count(resources), watch_runs=730)
    # Another stage brings its own dashboard along, and none of the toolchain's.
    boards = [item for item in read_resources(two.path) if item.kind.endswith("::Dashboard")]
    counts = count(resources)
    assert len(boards) - counts.dashboards == counts.dashboards - counts.toolchain_dashboards == 1
    (said,) = re.findall(r"^- A stage: ([\d.]+) ", costs_page.costs_page(counts), re.M)
    idle = costs_page.total(costs_page.bill(counts, costs_page.IDLE))
    assert float(said) == pytest.approx(idle - costs_page.DASHBOARD.usd, abs=0.006)


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ("cron(0/1 * * * ? *)", 730 * 60),
        ("cron(3/15 * * * ? *)", 730 * 4),
        ("cron(15 0/1 * * ? *)", 730),
        ("cron(15 0/12 * * ? *)", 730 / 12),
        ("cron(15 0 * * ? *)", 730 / 24),
    ],
)
def test_every_schedule_of_the_watch_is_counted(
    resources: list[Resource], schedule: str, runs: float
) -> None:
    assert count(on(resources, schedule)).watch_runs == pytest.approx(runs)


def test_a_schedule_of_another_kind_is_named(resources: list[Resource]) -> None:
    with pytest.raises(CostsError, match=r"found the schedules \['rate\(1 hour\)'\], expected one"):
        count(on(resources, "rate(1 hour)"))


def on(resources: list[Resource], schedule: str) -> list[Resource]:
    """The example with its watch on another schedule."""
    (watch,) = [
        item
        for item in resources
        if item.kind == "AWS::Events::Rule" and item.text("ScheduleExpression").startswith("cron")
    ]
    others = [item for item in resources if item is not watch]
    properties = {**watch.properties, "ScheduleExpression": schedule}
    return [*others, replace(watch, properties=properties)]


def test_an_app_without_a_service_is_refused_with_its_cause(resources: list[Resource]) -> None:
    less = [item for item in resources if item.kind != "AWS::ECS::Service"]
    with pytest.raises(CostsError, match="found 0 AWS::ECS::Service in stage 'dev', expected one"):
        count(less)
    with pytest.raises(CostsError, match="found no stage that its pipeline deploys, expected one"):
        count([item for item in resources if not item.stage])


@pytest.mark.parametrize(
    ("tasks", "hours"),
    [
        # A run in which tasks wait for one another, four times an hour.
        (2, 730 * 4 * (60 + 2 * 40) / 3600),
        (20, 730 * 4 * (60 + 20 * 40) / 3600),
        # More than a quarter of an hour: one container at a time.
        (50, 730),
    ],
)
def test_the_container_of_the_watch_is_paid_for_by_its_tasks(
    resources: list[Resource], tasks: int, hours: float
) -> None:
    usage = replace(costs_page.IDLE, tasks=tasks)
    lines = {line.what: line for line in costs_page.bill(count(resources), usage)}
    container = 0.25 * 0.04048 + 0.5 * 0.004445
    assert lines["score watch, its containers"].usd == pytest.approx(hours * container)
    calls = usage.examples * tasks * hours * 3600 / (60 + tasks * 40)
    assert f"= {calls:,.0f} calls" in lines["score watch, its model calls"].formula


def test_looks_at_the_ledger_are_counted_as_often_as_the_stage_says(
    synthesise: Callable[..., Assembly], resources: list[Resource]
) -> None:
    settings = json.loads(json.dumps(example_app.CONTEXT[CONTEXT_KEY]))
    settings["stages"][0] |= {"poll_seconds": 1, "desired_count": 3}
    often = count(read_resources(synthesise(settings, tasks=example_app.TASKS).path))
    assert often == replace(count(resources), poll_seconds=1, service_tasks=3)
    lines = {line.what: line for line in costs_page.bill(often, costs_page.IDLE)}
    assert lines["ledger"].usd == pytest.approx(3 * 730 * 3600 / 1e6 * 0.125)
    assert worth("ledger", lines["ledger"].formula) == pytest.approx(lines["ledger"].usd)


def test_a_service_that_scales_is_counted_at_its_least(resources: list[Resource]) -> None:
    service = next(resource for resource in resources if resource.kind == "AWS::ECS::Service")
    others = [resource for resource in resources if resource is not service]
    scaled = [
        replace(service, properties={}),
        replace(
            service,
            kind="AWS::ApplicationAutoScaling::ScalableTarget",
            properties={"MinCapacity": 3},
        ),
    ]
    assert count([*others, *scaled]).service_tasks == 3
