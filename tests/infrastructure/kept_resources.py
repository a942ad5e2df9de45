"""What holds something that a new one would not have, and what makes it that one and no other.

CloudFormation knows a resource by its stack and logical id. Another one there, or another value of
a property that can be given at creation alone, is another resource: new, and empty.
`python -m tests.infrastructure.kept_resources` records what the app has now.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.infrastructure.synthesised import Assembly, Json

RECORDED = Path(__file__).resolve().parents[1] / "fixtures" / "kept_resources.json"

HOLDERS = {
    "AWS::CodeConnections::Connection": "what a person approved",
    "AWS::DynamoDB::Table": "what is live, and the history of it",
    "AWS::ECR::Repository": "the images that stages run",
    "AWS::ElasticLoadBalancingV2::LoadBalancer": "the address that callers know",
    "AWS::IAM::OIDCProvider": "what the account's other workflows on GitHub sign in by",
    "AWS::KMS::Key": "what makes artifacts readable",
    "AWS::Logs::LogGroup": "what the service answered, and what builds said",
    "AWS::S3::Bucket": "records, verdicts, artifacts, people's files",
    "AWS::SNS::Topic": "the addresses that people confirmed",
}
"""What a resource of each type holds."""


def kept(assembly: Assembly) -> Json:
    """Describe each holder: its type, and the properties that only a new one could change."""
    return {
        f"{stack} {logical_id}": {
            "type": resource["Type"],
            "fixed": {
                name: value
                for name, value in sorted(resource.get("Properties", {}).items())
                if name in _fixed(resource["Type"])
            },
        }
        for stack, template in sorted(assembly.templates.items())
        for logical_id, resource in sorted(template["Resources"].items())
        if resource["Type"] in HOLDERS
    }


def _fixed(kind: str) -> set[str]:
    """Return the properties that CloudFormation takes at creation alone, by AWS's own schema."""
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    pointers = [
        *schema.get("createOnlyProperties", ()),
        *schema.get("conditionalCreateOnlyProperties", ()),
    ]
    return {pointer.split("/")[2] for pointer in pointers}


def losses(before: Mapping[str, Json], now: Mapping[str, Json]) -> Iterator[str]:
    """Yield a sentence for each holder that a deployment would leave behind or make anew."""
    for place, was in before.items():
        holds = HOLDERS[was["type"]]
        found = now.get(place)
        if found is None or found["type"] != was["type"]:
            yield f"{place} is no more: {holds} would stay behind."
            continue
        yield from (
            f"{place} would be made anew without {holds}: {name} was {was['fixed'].get(name)!r},"
            f" is {found['fixed'].get(name)!r}."
            for name in sorted({*was["fixed"], *found["fixed"]})
            if was["fixed"].get(name) != found["fixed"].get(name)
        )


def app(folder: Path) -> Assembly:
    """Synthesise all that can hold something: a stage here and one elsewhere, both with records.

    The settings are those that we ship, whatever a user has made of `cdk.json`.
    """
    from cdk_app.settings import CONTEXT_KEY
    from docs import example_app
    from tests.infrastructure.synthesised import build

    settings = example_app.CONTEXT[CONTEXT_KEY]
    here = settings["stages"][0]
    elsewhere = {
        **here,
        "name": "prod",
        "account": "222222222222",
        "region": "eu-west-1",
        "availability_zones": ["eu-west-1a", "eu-west-1b"],
        "vpc_cidr": "10.21.0.0/16",
    }
    changes = {**settings, "account": "111111111111", "stages": [here, elsewhere]}
    build(folder, changes).synth()
    return Assembly(folder)


def main() -> None:
    """Record what the app has now, for somebody who has decided so."""
    os.environ["CDK_VALIDATION"] = "false"
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(kept(app(Path(folder))), indent=2)
    RECORDED.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
