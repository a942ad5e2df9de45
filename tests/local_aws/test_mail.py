"""What SNS would send to people stands in files, whoever subscribes."""

from __future__ import annotations

from local_aws.mail import FOLDER, newest
from tests.local_aws.emulator import LocalAws


def test_what_is_published_can_be_read_in_order(aws: LocalAws) -> None:
    sns = aws.client("sns")
    topic = sns.create_topic(Name="prompt-hub-dev-alerts")["TopicArn"]
    sns.publish(TopicArn=topic, Subject="rolled back", Message="What happened: it fell\nto 0.25")
    sns.publish(TopicArn=topic, Message="without a subject of its own")

    kept = [
        (subject, file.read_text(encoding="utf-8"))
        for file, subject in newest(aws.state / FOLDER, 100)
        if "prompt-hub-dev-alerts" in file.name
    ]

    assert [subject for subject, _ in kept] == ["rolled back", "without a subject"]
    assert kept[0][1] == (
        "Topic: prompt-hub-dev-alerts\nSubject: rolled back\n\nWhat happened: it fell\nto 0.25\n"
    )
