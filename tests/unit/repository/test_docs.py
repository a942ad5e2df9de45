"""The reference of the prompt files says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from prompt_hub.repository.contracts import schema_problems
from prompt_hub.repository.documents import to_model
from prompt_hub.repository.input_check import field_problems
from prompt_hub.repository.reader import PromptRepository
from prompt_hub.repository.schema import Prompt
from prompt_hub.repository.template_environment import LOOP, MAX_STEPS, TESTS
from prompt_hub.repository.template_filters import FILTERS, MAX_RENDERED
from prompt_hub.repository.templates import MAX_TEMPLATE
from prompt_hub.repository.templates import read as read_template
from prompt_hub.repository.yaml import parse_yaml

pytestmark = pytest.mark.shipped

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "prompts.md").read_text("utf-8")
ASKED = re.compile(
    r"""/v1/tasks/([a-z-]+)/run.*?-d '\{"fields": (\{.*?\})\}'"""
    r"""|prompts\["([\w-]+)"\].*?\.render\((\{.*?\})\)""",
    re.DOTALL,
)
"""A task and the fields that a page shows how to ask it with."""


def test_the_prompt_in_the_reference_is_one() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (text,) = (block for block in blocks if "schema: prompt-hub/prompt@1" in block)
    prompt = to_model(parse_yaml(text, "docs/prompts.md"), Prompt)
    assert schema_problems(prompt.input) == schema_problems(prompt.output) == ()
    whole = prompt.messages[0].content.replace("{% include 'catalogue-role.txt' %}", "")
    for content in (whole, prompt.messages[1].content):
        assert read_template(content).faults == []


@pytest.mark.parametrize("name", [*FILTERS, *TESTS, *LOOP])
def test_the_reference_names_all_that_a_template_may_use(name: str) -> None:
    assert re.search(rf"[`. ]{name}`", PAGE), name


@pytest.mark.parametrize("limit", [MAX_STEPS, MAX_RENDERED, MAX_TEMPLATE])
def test_the_reference_states_the_limits(limit: int) -> None:
    assert f"{limit:,}" in PAGE


@pytest.mark.parametrize("page", ["README.md", "docs/http-api.md", "docs/loader.md"])
def test_what_a_page_asks_is_answered(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    asked = [[word for word in found if word] for found in ASKED.findall(text)]
    assert len(asked) == text.count('"fields": {"') + text.count(".render({")
    for task, fields in asked:
        prompt = PromptRepository(ROOT).production(task)
        assert prompt is not None
        assert field_problems(json.loads(fields), prompt.input) == []
