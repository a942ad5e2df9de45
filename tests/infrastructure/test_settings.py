"""A bad setting gives one clear sentence."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cdk_app.settings import CONTEXT_KEY, Settings, SettingsError
from cdk_app.tasks import read_tasks, require_aliases, require_time_for_soaks
from prompt_hub.llm.config import ModelAliases
from prompt_hub.llm.providers.registry import all_providers
from tests.infrastructure.synthesised import CONTEXT, ROOT, Json, task

GOOD: Json = CONTEXT[CONTEXT_KEY]
MISSING = object()

*_FIRST, _LAST = all_providers()
PROVIDERS = f"{', '.join(_FIRST)} or {_LAST}"


def changed(path: str, value: object) -> Json:
    """The good settings with the one at `path` changed; a number is an index."""
    settings = copy.deepcopy(GOOD)
    *way, last = path.split(".")
    place: Any = settings
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return settings


def test_the_settings_of_this_repository_are_good() -> None:
    settings = Settings.from_context(GOOD)
    assert [stage.name for stage in settings.stages] == ["dev"]
    assert settings.stages[0].nat_gateways == 1
    assert settings.account is None


def test_the_models_are_what_the_runtime_understands() -> None:
    settings = Settings.from_context(
        changed(
            "models",
            {
                "pinned": {
                    "provider": "openai",
                    "model": "gpt-4.1-mini-2025-04-14",
                    "base_url": "https://api.example.com/v1",
                    "secret": "prompt-hub/openai",
                    "price_per_million": {"input": 0.4, "output": 1.6},
                    "concurrency": 16,
                    "requests_per_minute": 500,
                    "tokens_per_minute": 200_000,
                },
                "latest": {
                    "provider": "bedrock",
                    "model": "openai.gpt-oss-20b-1:0",
                    "reasoning": {"effort": "medium", "tokens": 2048},
                },
            },
        )
    )
    aliases = ModelAliases.parse(settings.models_json)
    assert aliases.resolve("pinned").secret == "prompt-hub/openai"
    assert aliases.resolve("pinned").cost(1_000_000, 0) == pytest.approx(0.4)
    assert aliases.resolve("pinned").concurrency == 16
    assert aliases.resolve("pinned").requests_per_minute == 500
    assert aliases.resolve("pinned").tokens_per_minute == 200_000
    assert aliases.resolve("latest").region == "us-east-1"
    assert aliases.resolve("latest").identity.endswith("+reasoning-medium-2048")


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("repository", MISSING, "prompt-hub.repository is missing."),
        ("repository", "name", "prompt-hub.repository is 'name'; it must look like owner/name."),
        ("region", "virginia", "prompt-hub.region is 'virginia'; it must look like us-east-1."),
        ("account", 12, "prompt-hub.account is 12; it must look like 123456789012."),
        ("regoin", "us-east-1", "prompt-hub has the unknown setting 'regoin' (known: account, "),
        (
            "github_repository_id",
            "7",
            "prompt-hub.github_repository_id is '7'; it must be a whole number from 1 to ",
        ),
        ("models", {}, "prompt-hub.models must map at least one alias to a provider and a model."),
        (
            "models.catalogue-pinned.provider",
            "azure",
            "prompt-hub.models.catalogue-pinned.provider is 'azure';"
            f" it must look like {PROVIDERS}.",
        ),
        (
            "models.catalogue-pinned.provider",
            "bedrok",
            "prompt-hub.models.catalogue-pinned.provider is 'bedrok';"
            f" it must look like {PROVIDERS}"
            " (did you mean 'bedrock'?).",
        ),
        (
            "models.catalogue-pinned.bas_url",
            "https://host/v1",
            "prompt-hub.models.catalogue-pinned has the unknown setting 'bas_url' (known: ",
        ),
        (
            "models.catalogue-pinned.base_url",
            "https://host/v1",
            "prompt-hub.models.catalogue-pinned: a model of bedrock takes no base_url.",
        ),
        (
            "models.catalogue-pinned",
            {"provider": "openai", "model": "m", "base_url": "http://host/v1"},
            "prompt-hub.models.catalogue-pinned.base_url is 'http://host/v1';"
            " it must look like https://host/v1.",
        ),
        (
            "models.catalogue-pinned",
            {"provider": "openai", "model": "m", "api_key_env": "KEY"},
            "prompt-hub.models.catalogue-pinned.api_key_env is 'KEY'; on AWS a key stands in"
            " Secrets Manager: name it with secret.",
        ),
        (
            "models",
            {"Pinned": {"provider": "openai", "model": "m"}},
            "prompt-hub.models: the alias 'Pinned' must look like catalogue-pinned.",
        ),
        (
            "models.catalogue-pinned.concurrency",
            0,
            "prompt-hub.models.catalogue-pinned.concurrency is 0;"
            " it must be a whole number from 1 to 1024.",
        ),
        (
            "models.catalogue-pinned.tokens_per_minute",
            0,
            "prompt-hub.models.catalogue-pinned.tokens_per_minute is 0;"
            " it must be a number above 0 to 1000000000000.",
        ),
        (
            "models.catalogue-pinned",
            "gpt",
            "prompt-hub.models.catalogue-pinned must be an object with named values.",
        ),
        (
            "models.catalogue-pinned.price_per_million",
            {"input": -1, "output": 2},
            "prompt-hub.models.catalogue-pinned.price_per_million.input is -1;"
            " it must be a number from 0 to 1000000.",
        ),
        (
            "tags",
            {"aws:team": "catalogue"},
            "prompt-hub.tags: the key 'aws:team' must have 1 to 128 letters, ",
        ),
        ("tags", {"cost": 4711}, "prompt-hub.tags.cost is 4711; it must be a text, in quotes."),
        (
            "tags",
            {"Team": "a", "team": "b"},
            "prompt-hub.tags: 'team' stands twice; to IAM, case makes no difference.",
        ),
        ("tags", {"team": "<us>"}, "prompt-hub.tags.team is '<us>'; it must have at most 256 "),
        ("stages", [], "prompt-hub.stages must list at least one stage."),
        ("stages", {}, "prompt-hub.stages must list at least one stage."),
        ("stages.0.name", "Dev", "prompt-hub.stages[0].name is 'Dev'; it must look like dev, "),
        (
            "stages.0.availability_zones",
            ["us-east-1a"],
            "prompt-hub.stages[0].availability_zones must name two different zones or more:",
        ),
        (
            "stages.0.availability_zones",
            ["us-east-1a", "us-east-1b", "us-east-1a"],
            "prompt-hub.stages[0].availability_zones names a zone twice: a load balancer takes one"
            " subnet in each.",
        ),
        (
            "stages.0.availability_zones",
            ["eu-west-1a", "eu-west-1b"],
            "prompt-hub.stages[0].availability_zones is 'eu-west-1a';"
            " it must look like us-east-1a.",
        ),
        (
            "stages.0.nat_gateways",
            3,
            "prompt-hub.stages[0].nat_gateways is 3; it must be a whole number from 0 to 2.",
        ),
        (
            "stages.0.soak",
            {"rounds": 0, "minutes": 200},
            "prompt-hub.stages[0].soak.limit_minutes is 180; it must be more than minutes, which "
            "is 200.",
        ),
        (
            "stages.0.soak",
            {"round": 2},
            "prompt-hub.stages[0].soak has the unknown setting 'round'",
        ),
        (
            "stages.0.poll_seconds",
            True,
            "prompt-hub.stages[0].poll_seconds is True; it must be a whole number from 1 to 60.",
        ),
        (
            "stages.0.records",
            True,
            "prompt-hub.stages[0].records must be an object with named values.",
        ),
        (
            "stages.0.records",
            {"max_childs": 4},
            "prompt-hub.stages[0].records has the unknown setting 'max_childs' (known: expire_days,"
            " max_children; did you mean 'max_children'?).",
        ),
        (
            "stages.0.records",
            {"max_children": 0},
            "prompt-hub.stages[0].records.max_children is 0; it must be a whole number from 1 to"
            " 200.",
        ),
        (
            "stages.0.records",
            {"expire_days": 7},
            "prompt-hub.stages[0].records.expire_days is 7; it must be a whole number from 30 to"
            " 3650.",
        ),
        (
            "stages.0.log_level",
            "loud",
            "prompt-hub.stages[0].log_level is 'loud';"
            " it must look like off, warning, info or debug.",
        ),
        (
            "stages.0.approval",
            "yes",
            "prompt-hub.stages[0].approval is 'yes'; it must be true or false.",
        ),
        (
            "stages.0.notification_emails",
            "me@example.com",
            "prompt-hub.stages[0].notification_emails must be a list,"
            ' such as ["people@example.com"].',
        ),
        (
            "stages.0.vpc_cidr",
            "10.0.0.1/16",
            "prompt-hub.stages[0].vpc_cidr: '10.0.0.1/16' is not ",
        ),
        ("stages.0.vpc_cidr", "10.0.0.0/255.255.0.0", "prompt-hub.stages[0].vpc_cidr: '10.0.0.0/"),
        ("stages.0.caller_cidrs", ["10.8.0.5"], "prompt-hub.stages[0].caller_cidrs: '10.8.0.5' is"),
        ("stages.0.vpc_cidr", "10.0.0.0/28", "prompt-hub.stages[0].vpc_cidr must have between "),
        (
            "stages.0.caller_cidrs",
            ["10.20.128.0/24"],
            "prompt-hub.stages[0].caller_cidrs: 10.20.128.0/24 overlaps the stage's own network.",
        ),
        (
            "models.catalogue-pinned.reasoning",
            {"effort": "much"},
            "prompt-hub.models.catalogue-pinned.reasoning.effort is 'much'; it must look like low.",
        ),
    ],
)
def test_a_bad_setting_gives_one_sentence(path: str, value: object, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(changed(path, value))
    assert str(caught.value).startswith(sentence)
    assert str(caught.value).endswith((".", ")."))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://ann:hunter2@host/v1", "it holds a user or a password, which addresses are not"),
        ("https://host/v1?api-key=hunter2", "it has something behind its path"),
    ],
)
def test_an_address_with_a_key_in_it_is_refused_without_being_repeated(
    url: str, reason: str
) -> None:
    model = {"provider": "openai", "model": "m", "base_url": url}
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(changed("models.catalogue-pinned", model))
    setting = "prompt-hub.models.catalogue-pinned.base_url"
    assert str(caught.value).startswith(f"{setting}: {reason}")
    assert "hunter2" not in str(caught.value)


def test_a_secret_is_decrypted_by_a_key_of_the_region_that_it_is_in() -> None:
    key = "arn:aws:kms:us-east-1:111122223333:key/0a1b2c3d"
    model = {"provider": "openai", "model": "m", "secret": "s", "secret_kms_key": key}
    stage = GOOD["stages"][0]
    there = {**stage, "name": "eu", "region": "eu-west-1", "vpc_cidr": "10.21.0.0/16"}
    there["availability_zones"] = ["eu-west-1a", "eu-west-1b"]
    settings = {**GOOD, "account": "111122223333", "models": {"own": model}}
    with pytest.raises(SettingsError) as caught:
        Settings.from_context({**settings, "stages": [stage, there]})
    assert str(caught.value) == (
        "prompt-hub.stages[1]: the secret of own is read in eu-west-1, and its secret_kms_key is"
        f" {key}, of another region; name the alias in the models of the stage, with the key that"
        " its secret has there, if any."
    )
    own = {**model, "secret_kms_key": key.replace("us-east-1", "eu-west-1")}
    there["models"] = {"own": own}
    assert len(Settings.from_context({**settings, "stages": [stage, there]}).stages) == 2


def test_a_misspelt_setting_is_met_with_the_one_that_is_meant() -> None:
    settings = {**GOOD, "regoin": GOOD["region"]}
    del settings["region"]
    with pytest.raises(SettingsError, match=r"'regoin' .*; did you mean 'region'\?\)\.$") as caught:
        Settings.from_context(settings)
    assert caught.value.file == "cdk.json"


def test_whole_numbers_may_arrive_as_floats() -> None:
    settings = Settings.from_context(
        {**GOOD, "stages": [{**GOOD["stages"][0], "poll_seconds": 5.0}]}
    )
    assert settings.stages[0].poll_seconds == 5


def test_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(SettingsError, match="two stages are called 'dev'; rename one"):
        Settings.from_context(changed("stages", GOOD["stages"] * 2))


def test_a_stage_that_would_share_the_toolchains_dashboard_is_refused() -> None:
    with pytest.raises(SettingsError, match="a stage is called 'toolchain'"):
        Settings.from_context(changed("stages", [{**GOOD["stages"][0], "name": "toolchain"}]))


def test_stages_whose_networks_overlap_are_refused() -> None:
    stage = GOOD["stages"][0]
    stages = [
        stage,
        {**stage, "name": "test", "vpc_cidr": "10.21.0.0/16"},
        {**stage, "name": "prod", "vpc_cidr": "10.20.64.0/20"},
    ]
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(changed("stages", stages))
    assert str(caught.value) == (
        "prompt-hub.stages[2].vpc_cidr is 10.20.64.0/20, which overlaps the network of dev;"
        " name another one, such as 10.22.0.0/16."
    )
    stages[2] = {**stages[2], "vpc_cidr": "10.22.0.0/16"}
    assert len(Settings.from_context(changed("stages", stages)).stages) == 3


def test_no_settings_at_all_are_named() -> None:
    with pytest.raises(SettingsError, match=r"cdk\.json has no context key 'prompt-hub'"):
        Settings.from_context(None)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"every_minutes": 59, "evaluation_periods": 25},
            "evaluation_periods: found 25 with a sample every 59 minutes; expected at most 24",
        ),
        (
            {"every_minutes": 60, "evaluation_periods": 169},
            "evaluation_periods: found 169 with a sample every 60 minutes; expected at most 168",
        ),
        (
            {"datapoints_to_alarm": 2},
            "datapoints_to_alarm: found 2; expected at most evaluation_periods, 1",
        ),
    ],
)
def test_a_watch_that_fits_no_alarm_is_refused(changes: dict[str, int], sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        task("part-class", **changes)
    assert str(caught.value).startswith(f"03-metadata/part-class.yaml: score_watch.{sentence}")


def test_the_tasks_of_this_repository_can_be_watched() -> None:
    tasks = read_tasks(ROOT)
    assert len(tasks) >= 2
    assert [entry.name for entry in tasks] == sorted(item.name for item in tasks)


def test_every_alias_that_a_prompt_names_is_asked_for() -> None:
    aliases = Settings.from_context(GOOD).models
    require_aliases(ROOT, aliases)
    with pytest.raises(SettingsError) as caught:
        require_aliases(ROOT, ["catalogue-latest"])
    assert str(caught.value).startswith("prompt-hub.models has no alias 'catalogue-pinned', which")
    assert str(caught.value).endswith("names (known: catalogue-latest).")


@pytest.mark.parametrize(
    ("soak", "every_minutes", "expected"),
    [
        ({"rounds": 20, "limit_minutes": 300}, 15, None),
        ({}, 181, "limit_minutes is 180; with soak.rounds 1 it must be 181 or more"),
        ({"rounds": 13}, 15, "limit_minutes is 180; with soak.rounds 13 it must be 195 or more"),
        ({"rounds": 0, "minutes": 60}, 1440, None),
    ],
)
def test_a_soak_leaves_time_for_the_rounds_of_the_task_that_is_measured_least_often(
    soak: Json, every_minutes: int, expected: str | None
) -> None:
    """Else each release that leaves that task alone would end red there, as nobody measured it."""
    stages = Settings.from_context(changed("stages.0.soak", soak)).stages
    tasks = (task("brand", every_minutes=1), task("part-class", every_minutes=every_minutes))
    if expected is None:
        require_time_for_soaks(tasks, stages)
        return
    with pytest.raises(SettingsError) as caught:
        require_time_for_soaks(tasks, stages)
    assert str(caught.value).startswith(f"prompt-hub.stages[0].soak.{expected}, as")
    assert f"every_minutes of part-class is {every_minutes}." in str(caught.value)
    assert caught.value.file == "cdk.json"


def test_the_list_that_a_message_suggests_is_a_good_one() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(changed("stages.0.caller_cidrs", "10.1.0.0/16"))
    suggested = json.loads(str(caught.value).partition("such as ")[2].removesuffix("."))
    assert Settings.from_context(changed("stages.0.caller_cidrs", suggested))


def test_a_repository_without_a_task_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    with pytest.raises(SettingsError, match="no live task"):
        read_tasks(tmp_path)


def test_metadata_that_cannot_be_read_is_named_with_its_place(tmp_path: Path) -> None:
    for layer, name in (("03-metadata", "part-class.yaml"), ("01-examples", "part-class.jsonl")):
        (tmp_path / "prompts" / layer).mkdir(parents=True)
        (tmp_path / "prompts" / layer / name).write_text("task: [\n")
    with pytest.raises(SettingsError, match=r"^prompts/03-metadata/part-class\.yaml:\d+"):
        read_tasks(tmp_path)


def test_cdk_json_names_the_app_and_sends_no_usage_data() -> None:
    cdk = json.loads((ROOT / "cdk.json").read_text())
    assert cdk["app"] == "python app.py"
    assert cdk["versionReporting"] is False
