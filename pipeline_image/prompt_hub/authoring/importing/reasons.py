"""Why something of another tool has no place in a task, and what to do: the same words in all."""

from __future__ import annotations

NO_PARAMETER = "parameters here are temperature, top_p, max_tokens and seed"
NO_NUMBER = "a parameter of this name has to be a finite number"
NO_SETTING = "a task has no such setting"
NO_TAGS = "a task has an owner and a description, and no tags"
NO_TOOLS = "prompts here answer with data and call no tools"
HISTORY = "a task answers one record: a conversation so far has no place in its prompt"
A_JUDGE = (
    "a model grades it: write a judge (a prompt with a rubric), name it in the metadata's `judge`"
    " and add a scorer of the type judge"
)
NO_PROVIDER = (
    "an alias is a model of an OpenAI-compatible endpoint, of Azure OpenAI or of Bedrock; name one"
    " for it"
)
_KEYS = {
    NO_PARAMETER: "frequency_penalty presence_penalty stop",
    NO_TAGS: "tags",
    NO_TOOLS: "max_tool_calls parallel_tool_calls toolDefs tool_choice tools",
    HISTORY: "conversation previous_response_id",
    f"{NO_PARAMETER}; how much a model reasons is a choice of the model": """
        reasoning reasoning_effort""",
    "which version is live is the registry's and the ledger's: `prompt-hub ledger show`": """
        aliases labels""",
    "keys and endpoints are settings of the model alias, never of a prompt": """
        configuration connection""",
    "write it into the message of the commit": "commitMessage commit_message",
    "the task's name is the one of the command": "displayName name",
    "the owner of a task stands in its metadata: --owner": "authors",
    "write what it takes from the other file into this one": "base",
    "say it in the description or the owner of the metadata": "metadata",
    "the prompt stands here as a whole": "resolutionGraph",
    "an answer here is all that the model says first": "response",
    "a variant is a task or a version of its own here": "variant",
    "an imported task begins at its own first version": "version",
}
REASONS = {key: why for why, keys in _KEYS.items() for key in keys.split()}
"""By the keys that tools have in a prompt, in its front matter or in a request."""
