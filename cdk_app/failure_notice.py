"""Whom a failed execution of the pipeline is told to."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from prompt_hub.core import aws_names


class FailureNotice(Construct):
    """Tells `emails` of every execution that ends red: a blocked prompt, or a broken pipeline."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        pipeline: codepipeline.IPipeline,
        emails: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        topic = sns.Topic(
            self,
            "Topic",
            topic_name=aws_names.pipeline_topic(),
            display_name="Prompt Hub pipeline",
            enforce_ssl=True,
        )
        for address in dict.fromkeys(emails):
            topic.add_subscription(subscriptions.EmailSubscription(address))
        execution = events.EventField.from_path("$.detail.execution-id")
        pipeline.on_state_change(
            "Failed",
            description="Tells people of an execution that ended red",
            event_pattern=events.EventPattern(detail={"state": ["FAILED"]}),
            target=targets.SnsTopic(
                topic,
                message=events.RuleTargetInput.from_text(
                    f"Execution {execution} of {aws_names.pipeline()} ended red. If only its last"
                    " action, Verdict, failed, a prompt was blocked and everything else is"
                    " deployed: an earlier message names the prompt, its score and why, and so"
                    " does the variable BLOCKED of the action Promote. If Synth failed because a"
                    " prompt is not valid, an earlier message has the lines. Anything else failed"
                    " before the release was complete; the red action's log says what to do."
                ),
            ),
        )
