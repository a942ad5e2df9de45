"""The page of an evaluation: whole, self-contained, safe with any text, below a megabyte."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from prompt_hub.gate.types import Power, Status
from prompt_hub.reporting.formats import html as pages_of
from prompt_hub.reporting.formats import report_formats
from prompt_hub.reporting.formats.html import LARGEST_PAGE, spreads
from prompt_hub.reporting.formats.html import render as evaluation_page
from prompt_hub.reporting.pages import TEMPLATES
from prompt_hub.repository.schema import JsonObject
from tests.unit.reporting.evaluations import Builder, Built, Spec, view_of, written
from tests.unit.reporting.history import FIELDS, TASK, jsonl
from tests.unit.reporting.html import POISON, Reader


def page(built: Built) -> str:
    return evaluation_page(view_of(built))


def data_of(html: str) -> JsonObject:
    """What the page's script reads."""
    packed = html.split('<script id="data" type="application/octet-stream">')[1].split("<")[0]
    return cast(JsonObject, json.loads(zlib.decompress(base64.b64decode(packed))))


def examples_of(html: str) -> list[JsonObject]:
    return cast("list[JsonObject]", data_of(html)["examples"])


def objects_of(html: str) -> list[JsonObject]:
    """What the page's script lays beside the expected outputs, of the candidate."""
    arms = [cast(JsonObject, example["candidate"]) for example in examples_of(html)]
    calls = [call for arm in arms for call in cast("list[JsonObject]", arm["calls"])]
    objects = [json.loads(str(call["answer"])) for call in calls]
    assert objects
    for found in objects:
        assert found.keys() == {*FIELDS}
    return objects


def test_the_summary_stands_in_the_page_without_any_script(evaluated: Builder) -> None:
    message = Reader(page(evaluated())).texts()
    assert "part-fields 1.3.0" in message
    assert "✓ PASS may be released" in message
    assert "score 0.821 reaches the threshold 0.800" in message
    assert "with these 48 examples a drop of 0.09 would be seen" in message
    assert "Example by example: 14 won, 2 lost, 32 the same." in message
    assert "majority guess" in message
    assert "catalogue-team" in message
    assert "max_tokens" in message
    assert "inductor at least 0.990 missed" in message
    assert "1.1.0 blocked 0.690" in message
    assert "What changed from 1.2.0" in message
    assert "needs JavaScript" in message


def test_what_is_asked_once_for_all_rounds_counts_once(tmp_path: Path) -> None:
    """The candidate is sampled, the champion is not."""
    built = written(tmp_path, Spec(repeats=3))
    record = json.loads(built.record_path.read_text(encoding="utf-8"))
    record["candidate"]["parameters"]["temperature"] = 0.7
    sums = {"cached": 144, "tokens_in": 15939, "tokens_out": 7200}
    for arm in ("candidate", "champion"):
        record[arm] |= sums
    built.record_path.write_text(json.dumps(record), encoding="utf-8")
    message = Reader(page(built)).texts()
    assert "calls 144 48" in message
    assert "from the cache 144 48" in message
    assert "tokens sent 15,939 5,313" in message
    assert "tokens received 7,200 2,400" in message


def test_what_the_gate_asked_then_is_not_what_it_asks_for_today(copied: Built) -> None:
    metadata = copied.root / "prompts" / "03-metadata" / f"{TASK}.yaml"
    text = metadata.read_text(encoding="utf-8")
    every = ", ".join(f"{kind}: 1.0" for kind in ("resistor", "capacitor", "inductor", "connector"))
    text = text.replace("connector: 0.7, inductor: 0.99", every).replace("0.05,", "0.317,")
    metadata.write_text(text, encoding="utf-8")
    message = Reader(page(copied)).texts()
    assert "what it asks for today is left out" in message
    assert "accepted loss −0.050" in message
    assert "−0.317" not in message
    assert "at least 1.000" not in message
    assert "its limit" not in message


def test_every_example_travels_whole(evaluated: Builder) -> None:
    view = view_of(evaluated(repeats=3, judged=True))
    html = evaluation_page(view)
    examples = examples_of(html)
    assert [example["id"] for example in examples] == [example.id for example in view.examples]
    first = cast("dict[str, JsonObject]", examples[0])
    known = view.examples[0]
    assert known.example is not None
    assert known.candidate is not None
    assert first["input"] == known.example.input
    assert first["expected"] == known.example.expected
    calls = cast("list[JsonObject]", first["candidate"]["calls"])
    assert [call["answer"] for call in calls] == [call.answer for call in known.candidate.calls]
    assert all(len(cast("list[float]", call["votes"])) == 3 for call in calls)


def test_messages_that_all_examples_share_travel_once(evaluated: Builder) -> None:
    view = view_of(evaluated())
    data = data_of(evaluation_page(view))
    prompts = cast("dict[str, list[JsonObject]]", data["prompts"])
    assert [message["text"] is None for message in prompts["candidate"]] == [False] * 3 + [True]
    assert view.candidate is not None
    for example, known in zip(
        cast("list[JsonObject]", data["examples"]), view.examples, strict=True
    ):
        assert known.example is not None
        sent = view.candidate.messages(known.example)
        assert sent is not None
        arm = cast(JsonObject, example["candidate"])
        assert arm["messages"] == [sent[-1]["content"]]


def test_it_asks_nothing_of_a_network_and_allows_only_its_own_script(evaluated: Builder) -> None:
    html = page(evaluated())
    reader = Reader(html)
    reader.asks_nothing_of_a_network(html)
    assert reader.tags.count("script") == 2
    assert "script-src 'sha256-" in reader.policy
    assert "require-trusted-types-for 'script'" in reader.policy


@pytest.mark.parametrize("size", [48, 500, 2000])
def test_a_page_stays_below_a_megabyte_with_nothing_cut(evaluated: Builder, size: int) -> None:
    html = page(evaluated(examples=size, judged=True, repeats=1))
    assert len(html.encode()) < LARGEST_PAGE
    assert len(examples_of(html)) == size
    assert "left out" not in html
    assert "cut after" not in html


def test_long_texts_are_cut_and_the_page_says_so(
    evaluated: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_of, "LARGEST_PAGE", 70_000)
    built = evaluated(examples=200, padding=900)
    html = page(built)
    assert len(html.encode()) <= 70_000
    assert re.search(r"[\d,]+ texts cut after [\d,]+ characters", Reader(html).texts())
    assert "evaluations/local/part-fields.jsonl" in html


def test_an_answer_is_cut_text_by_text_and_is_an_object_still(
    evaluated: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages_of, "CUTS", (120,))
    html = page(evaluated(text=" and more" * 30))
    brands = [str(found["brand"]) for found in objects_of(html)]
    assert any("more characters" in brand for brand in brands)
    assert max(map(len, brands)) < 160


def test_an_answer_in_a_fence_travels_without_it(copied: Built) -> None:
    lines = [json.loads(line) for line in copied.details_path.read_text("utf-8").splitlines()]
    for line in lines:
        line["answer"] = f"```json\n{line['answer']}\n```"
    copied.details_path.write_text(jsonl(lines), encoding="utf-8")
    objects_of(page(copied))


def test_what_matters_most_is_kept_when_not_all_examples_fit(
    evaluated: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = examples_of(page(evaluated(examples=500)))
    monkeypatch.setattr(pages_of, "LARGEST_PAGE", 70_000)
    html = page(evaluated(examples=500))
    assert len(html.encode()) <= 70_000
    kept = examples_of(html)
    assert 0 < len(kept) < 500
    assert f"{500 - len(kept)} of 500 examples left out" in html
    names = [example["id"] for example in kept]
    assert names == [example["id"] for example in whole if example["id"] in names]
    changed = {e["id"] for e in whole if e.get("change") in ("won", "lost")}
    assert len(changed & {*names}) == min(len(changed), len(kept))


@pytest.mark.parametrize("status", list(Status))
def test_every_verdict_has_a_sign_a_word_and_a_meaning(evaluated: Builder, status: Status) -> None:
    message = Reader(page(evaluated(status=status))).texts()
    assert re.search(rf"[✓✗?=–] {status.replace('_', ' ')}", message)


def test_what_was_not_measured_has_no_point_in_the_plot(evaluated: Builder) -> None:
    html = page(evaluated(failing=3))
    assert "– NOT MEASURED" in Reader(html).texts()
    row = html[html.index('<th scope="row">candidate') :].split("</tr>")[0]
    assert "circle" not in row
    assert "45, 3 not measured" in row


def test_a_page_without_a_champion_compares_nothing(evaluated: Builder) -> None:
    html = page(evaluated(champion=False))
    message = Reader(html).texts()
    assert "against the champion" not in message
    assert "What changed" not in message
    assert 'value="won"' not in html


def test_no_link_leads_to_a_section_that_is_left_out(evaluated: Builder) -> None:
    view = view_of(evaluated())
    arm = view.evaluation.record.candidate
    assert arm is not None
    for examples in (view.examples, ()):
        reader = Reader(evaluation_page(replace(view, examples=examples)))
        attributes = [found for _, found in reader.elements]
        targets = {str(found.get("href")) for found in attributes}
        there = {f"#{found['id']}" for found in attributes if "id" in found}
        assert {target for target in targets if target.startswith("#")} <= there
        assert ("#examples" in targets) is bool(examples)
        by_tag = reader.texts().split("By tag")[1].split("Cost and latency")[0]
        assert f" {arm.tags['resistor'].n} " in by_tag


def test_without_prices_the_tokens_are_spread(evaluated: Builder) -> None:
    assert [s.title for s in spreads(view_of(evaluated(priced=False)))] == [
        "Latency of a call",
        "Tokens of a call",
    ]


def test_poison_in_every_free_text_stays_text(evaluated: Builder) -> None:
    clean, poisoned = page(evaluated()), page(evaluated(text=POISON))
    assert set(Reader(poisoned).tags) <= set(Reader(clean).tags)
    assert Reader(poisoned).tags.count("script") == 2
    assert "alert(" not in poisoned
    titles = [str(cast(JsonObject, example["input"])["title"]) for example in examples_of(poisoned)]
    assert all(title.endswith(POISON) for title in titles)


def test_the_same_record_makes_the_same_page(evaluated: Builder) -> None:
    assert page(evaluated()) == page(evaluated())


# --- styles ----------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(text: str, other: str) -> float:
    brighter, darker = sorted((luminance(text), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def schemes() -> list[dict[str, str]]:
    css = (TEMPLATES / "base.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in (light, dark)]


@pytest.mark.parametrize("scheme", schemes(), ids=["light", "dark"])
def test_every_text_has_enough_contrast(scheme: dict[str, str]) -> None:
    for text in ("text", "soft", "accent", "good", "bad", "warn"):
        assert contrast(scheme[text], scheme["page"]) >= 4.5, text
    for text, ground in (
        ("text", "tint"),
        ("good", "good-bg"),
        ("bad", "bad-bg"),
        ("warn", "warn-bg"),
        ("text", "warn-bg"),
        ("text", "plain-bg"),
    ):
        assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground)


def test_light_and_dark_know_the_same_colours() -> None:
    light, dark = schemes()
    assert light.keys() == dark.keys()


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.[cj]s*")), ids=lambda path: path.name)
def test_styles_and_scripts_can_stand_in_a_page(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"</(style|script)|<!--|\r", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text)


def test_every_format_says_in_the_same_words_what_examples_can_show(copied: Built) -> None:
    power = Power(n=12, margin=0.05, detectable=None, needed=62)
    record = copied.record
    verdict = record.verdict.model_copy(update={"power": power, "comparison": None})
    alone = {"champion": None, "champion_sha256": None, "verdict": verdict}
    copied.record_path.write_text(record.model_copy(update=alone).to_json(), encoding="utf-8")
    kept = copied.details_path.read_text(encoding="utf-8").splitlines(keepends=True)
    of_candidate = [line for line in kept if '"arm": "candidate"' in line]
    copied.details_path.write_text("".join(of_candidate), encoding="utf-8")
    formats = report_formats()
    assert len(formats) > 2
    for form in formats.values():
        text = form.render(view_of(copied))
        assert "62 examples would tell a true score of 0.75 from the threshold" in text
        assert "a drop of 0.09 would be seen" not in text
