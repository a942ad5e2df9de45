"""What an editor says about each key of the files that people write."""

from __future__ import annotations

DESCRIPTIONS: dict[str, dict[str, str]] = {
    "ModelChoice": {
        "alias": "Alias of the model; settings say per environment which model that is.",
        "parameters": "Sampling parameters that the prompt is judged and served with.",
    },
    "Message": {
        "role": "Who says it.",
        "content": "Jinja2 template over the input's properties, as docs/prompts.md describes it.",
    },
    "FewShot": {
        "count": "How many examples with `split: shot` precede the question.",
        "examples": "Written by promotion: the examples themselves.",
    },
    "Prompt": {
        "schema": "The format of this file.",
        "task": "The task that this is a prompt of.",
        "version": "Semantic version; it moves whenever the content does.",
        "description": "What is special about this version, in a line.",
        "model": "The model that it asks for.",
        "input": "JSON Schema of the fields that fill the templates.",
        "output": "JSON Schema of the answer.",
        "few_shot": "Worked examples before the question.",
        "messages": "The conversation; the last message is the user's.",
        "lock": "Written by promotion: what was sealed.",
    },
    "Lock": {
        "sha256": "Hash of the content that was promoted.",
        "promoted_at": "When it was promoted.",
        "evaluation": "Path of the evaluation record, relative to prompts/.",
        "commit": "Commit that was evaluated.",
    },
    "UpToDate": {
        "examples": "Hash of the example set.",
        "input": "Hash of the candidate's input schema.",
        "output": "Hash of the candidate's output schema.",
    },
    "Budget": {
        "calls": "Calls of a model.",
        "tokens": "Tokens in and out.",
        "usd": "Money, in US dollars.",
        "seconds": "Time on the clock.",
    },
    "Gate": {
        "margin": "Loss of mean score against the champion that is still accepted.",
        "confidence": "One minus the chance of either error of the comparison.",
        "first_look": "Examples measured before the evidence is first judged.",
        "repeats": "How often an example may be asked where the model is sampled.",
        "tags": "Least score of the examples with a tag.",
        "tag_margin": "Loss of any tag's score that counts as its collapse.",
        "budget": "The most that one evaluation may spend.",
    },
    "Limits": {
        "usd_per_call": "Mean cost of a call, in US dollars.",
        "seconds_per_call": "Time that one call may take.",
        "seconds_p95": "Time within which 95 of 100 calls are answered.",
    },
    "ScoreWatch": {
        "every_minutes": "How often the active version is measured.",
        "datapoints_to_alarm": "Bad samples that fire the alarm.",
        "evaluation_periods": "Latest samples among which they are counted.",
    },
    "Records": {
        "columns": "Input field → its names in raw records; case and spaces do not count.",
    },
    "Override": {
        "person": "Who decides it.",
        "reason": "Why, in at least ten characters.",
        "version": "The one version that it is about.",
    },
    "Metadata": {
        "schema": "The format of this file.",
        "task": "The task, as the file is called.",
        "owner": "Team or person who answers for the task.",
        "description": "What the task is, in a line.",
        "version": "The candidate's version.",
        "candidate": "Path of the candidate, relative to prompts/.",
        "up_to_date": "Written by `prompt-hub validate --stamp`: what the author last saw.",
        "threshold": "Score that a candidate must reach.",
        "scorers": "How answers are scored; weights are relative.",
        "gate": "How a candidate is held against the champion.",
        "limits": "Limits of cost and latency.",
        "score_watch": "How the active version is watched.",
        "records": "How `prompt-hub run` reads raw records.",
        "judge": "The meta-prompt that grades, where a scorer of type judge is used.",
        "override": "A person's decision against a verdict, by `prompt-hub promote override`.",
    },
    "Example": {
        "id": "Unique in the file; stays with the example for ever.",
        "input": "Fields that keep the candidate's input schema.",
        "expected": "The right answer; keeps the output schema.",
        "split": "`eval` is scored, `shot` is shown to the model and never scored.",
        "weight": "How much the example counts.",
        "tags": "Slices whose scores are told, and may have minimums, apart.",
    },
    "Shot": {
        "input": "The example's fields.",
        "expected": "The answer that it shows.",
    },
}
"""Model → key → what it is for."""

_SCORER_KEYS = {
    "type": "What kind of scorer it is; docs/scorers.md describes each.",
    "weight": "How much it counts beside the other scorers.",
    "field": "Field of the output; dots lead into objects.",
    "similarity": "Least edit similarity (0 to 1) of a text that still earns it.",
    "tolerance": "How far a number may be off.",
    "relative_tolerance": "How far a number may be off, as a share of the expected one.",
    "pattern": "Pattern in RE2's syntax that the whole text must match.",
    "schema": "JSON Schema to hold the output against; the prompt's own by default.",
    "compare": "How two values are compared: as texts, exactly, or as numbers.",
    "list": "Whether the order of a list counts.",
    "kinds": "Kinds of attacks; all of them by default.",
    "share": "Share of the examples that is attacked.",
    "entry": "A function of your own, `package.module:function`.",
}
_FIELDS = {
    "FieldsScorer": "Fields of the output, each with its weight or its rule; all by default.",
    "InjectionScorer": "Fields of the input that strangers write.",
}
_KEYS = {
    "ExactScorer": "type weight field",
    "TextScorer": "type weight field similarity",
    "NumberScorer": "type weight field tolerance relative_tolerance",
    "RegexScorer": "type weight field pattern",
    "SchemaScorer": "type weight schema",
    "FieldsScorer": "type weight",
    "FieldRule": "weight compare similarity tolerance relative_tolerance list",
    "SetScorer": "type weight field compare similarity tolerance relative_tolerance",
    "JudgeScorer": "type weight",
    "InjectionScorer": "type weight kinds share",
    "PythonScorer": "type weight entry",
}
DESCRIPTIONS |= {
    name: {key: _SCORER_KEYS[key] for key in keys.split()}
    | ({"fields": _FIELDS[name]} if name in _FIELDS else {})
    for name, keys in _KEYS.items()
}
DESCRIPTIONS["Judge"] = {
    "task": "The judge's task, a task of this repository.",
    "version": "Its released version that grades.",
    "votes": "How often it is asked, where its model is sampled.",
    "floor": "Least agreement with people at which it may gate.",
}
