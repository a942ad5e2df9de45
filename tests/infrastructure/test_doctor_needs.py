"""What `prompt-hub doctor` compares quotas and bootstrap with is what our templates say."""

from __future__ import annotations

from collections.abc import Callable

from prompt_hub.core import aws_names
from prompt_hub.doctor.checks.bootstrap import LEAST_VERSION
from prompt_hub.doctor.checks.connection import OUTPUT
from prompt_hub.doctor.checks.quotas import BUILDS, COUNTED, VCPU, needs
from prompt_hub.doctor.readers import Template
from tests.infrastructure.synthesised import CONTEXT, TASKS, Assembly, task

LAMBDA, ADDRESS, NETWORK = (
    COUNTED[name] for name in ("AWS::Lambda::Function", "AWS::EC2::EIP", "AWS::EC2::VPC")
)


def _needs(assembly: Assembly) -> dict[str, float]:
    templates = [Template.model_validate(text) for text in assembly.templates.values()]
    return {quota.name: amount for quota, amount in needs(templates).items()}


def test_a_rollout_needs_two_services_and_a_one_off_task(assembly: Assembly) -> None:
    found = _needs(assembly)
    assert found[VCPU.name] == (2 * 1 + 1) * 0.25
    assert found[BUILDS.name] == len(TASKS) + 1, "evaluations, and the tests of the code"
    assert (found[NETWORK.name], found[ADDRESS.name], found[LAMBDA.name]) == (1, 1, 1)


def test_two_stages_of_which_one_scales_need_more(
    synthesise: Callable[..., Assembly],
) -> None:
    dev = {**CONTEXT["prompt-hub"]["stages"][0], "desired_count": 2}
    prod = {**dev, "name": "prod"}
    prod |= {"vpc_cidr": "10.30.0.0/16", "scaling": {"max_count": 8}}
    found = _needs(synthesise({"stages": [dev, prod]}))
    assert found[VCPU.name] == (2 * 2 + 1) * 0.25 + (2 * 8 + 1) * 0.25
    assert found[NETWORK.name] == 2


def test_a_file_of_records_needs_its_containers_beside_a_rollout(
    synthesise: Callable[..., Assembly],
) -> None:
    dev = {**CONTEXT["prompt-hub"]["stages"][0], "records": {"max_children": 7}}
    assert _needs(synthesise({"stages": [dev]}))[VCPU.name] == (2 * 1 + 1 + 7) * 0.25


def test_what_starts_together_has_to_run_together(synthesise: Callable[..., Assembly]) -> None:
    """An account that is new may run one build, and may refuse what would wait for it."""
    app = synthesise(tasks=tuple(task(f"task-{number}") for number in range(40)))
    assert _needs(app)[BUILDS.name] == 40 + 1, "an evaluation for each task, and the tests"


def test_templates_ask_for_no_newer_bootstrap_than_the_doctor(assembly: Assembly) -> None:
    for name, template in assembly.templates.items():
        (rule,) = template["Rules"]["CheckBootstrapVersion"]["Assertions"]
        assert f"version {LEAST_VERSION} required" in rule["AssertDescription"], name


def test_the_source_stack_says_its_connection(assembly: Assembly) -> None:
    assert OUTPUT in assembly.templates[aws_names.source_stack()]["Outputs"]
