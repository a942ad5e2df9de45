"""Keys are found and never repeated; part numbers, hashes and prose are no keys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prompt_hub.validation.secrets import find, redacted

ROOT = Path(__file__).resolve().parents[3]
# Written in pieces: no scanner, ours or another, shall find a key in this file.
MIXED = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zC"
KEYS = {
    "an AWS access key id": "AK" + "IAIOSFODNN7EXAMPLE",
    "an API key (sk-...)": "s" + "k-proj-" + MIXED,
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a GitHub token": "gh" + "p_" + MIXED + "abcd",
    "a GitLab token": "gl" + "pat-" + MIXED[:20],
    "a Slack token": "xo" + "xb-123456789012-" + MIXED[:12],
    "a Slack webhook": "https://hooks.slack" + ".com/services/T0AB/B0CD/" + MIXED[:24],
    "a Google API key": "AI" + "za" + MIXED + "abc",
    "a Hugging Face token": "hf" + "_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
    "an npm or PyPI token": "np" + "m_" + MIXED + "abcd",
    "a Stripe key": "sk" + "_live_" + MIXED[:24],
    "a JSON web token": "ey" + "JhbGciOiJIUzI1NiJ9.ey" + "JzdWIiOiIxMjM0NSJ9." + MIXED,
    "a password in an address": "postgres://admin:" + "hunter2" + "@db.internal/parts",
}


@pytest.mark.parametrize(("name", "key"), KEYS.items())
def test_a_key_is_found_where_it_stands_and_redacted(name: str, key: str) -> None:
    text = f"first line\n  note: {key} and more\n"
    assert (2, 9, name) in list(find(text))
    assert key not in redacted(text)
    assert f"[{name}]" in redacted(text)


@pytest.mark.parametrize(
    "key",
    [*KEYS.values(), f"api_KEY: {MIXED}", f"pa\u017fsw0rd_toKEN={MIXED}", f"api_\u212aey: {MIXED}"],
)
def test_a_key_is_found_in_a_large_file_as_in_a_small_one(key: str) -> None:
    found = [(line + 9000, column, name) for line, column, name in find(f"note: {key} ...\n")]
    assert found
    assert list(find("0603 ±1%\n" * 9000 + f"note: {key} ...\n")) == found


@pytest.mark.parametrize(
    "line",
    [
        f"api_key: {MIXED}",
        f'"openai_api_key": "{MIXED}"',
        f"AWS_SECRET_ACCESS_KEY={MIXED}/x+1",
        f"password = '{MIXED}'",
        f"Authorization-Token: {MIXED}",
    ],
)
def test_a_random_text_given_to_a_telling_name_is_a_secret(line: str) -> None:
    assert [name for _, _, name in find(line)] == ["a secret given to a name such as api_key"]
    assert MIXED not in redacted(line)


@pytest.mark.parametrize(
    "line",
    [
        "part_number: S2B-PH-K-S(LF)(SN)",
        "sha256: da2e9bbd7c0db5e375194167725e71dd6bc777d3c18f9e522316a1995931e265",
        "commit: a7c8158a7240f797924c94d77c5328c4acf7a654",
        "token: {type: string, description: the-word-before-the-colon}",
        "secret: arn-of-the-secret-in-the-secrets-manager",
        "max_tokens: 32000000000000000000000",
        "The password is asked for at the counter, never written down.",
        "see https://example.org/a:b@c and mailto:someone@example.org",
        "api_key: ${OPENAI_API_KEY_FROM_THE_ENVIRONMENT}",
        "skus: sk-12, sk-13; sk-smd-resistors",
    ],
)
def test_what_only_resembles_a_key_is_left_alone(line: str) -> None:
    assert list(find(line)) == []


def catalogues() -> list[Path]:
    """The catalogue data beside the repository, in this checkout or in the one it was made from."""
    for parent in ROOT.parents:
        if found := sorted((parent / "shared" / "data").glob("*.jsonl")):
            return found
    return []


def test_no_part_of_a_real_catalogue_is_taken_for_a_key() -> None:
    files = catalogues()
    if not files:
        # Other people's data, which is no part of this repository: pytest's summary names this.
        pytest.skip("NOT RUN: no catalogues in ../shared/data; secrets were not tried on them")
    parts = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(parts) > 600
    for line in parts:
        assert list(find(line)) == [], line
        for value in json.loads(line)["input"].values():
            assert list(find(f"token: {value}")) == [], value
