"""Why something of another tool has no place in a task, and what to do: the same words in all."""

from __future__ import annotations

NO_PARAMETER = "parameters here are temperature, top_p, max_tokens and seed"
NO_NUMBER = "a parameter of this name has to be a finite number"
NO_SETTING = "a task has no such setting"
NO_TAGS = "a task has an owner and a description, and no tags"
NO_TOOLS = "prompts here answer with data and call no tools"
HISTORY = "a task answers one record: a conversation so far has no place in its prompt"
_OF_THE_ALIAS = "keys and endpoints are settings of the model alias, never of a prompt"
_OF_THE_COMMIT = "write it into the message of the commit"
_OF_THE_LEDGER = (
    "which version is live is the registry's and the ledger's: `prompt-hub ledger show`"
)
_OF_THE_MODEL = f"{NO_PARAMETER}; how much a model reasons is a choice of the model"
_OF_THE_TASK = "the task's name is the one of the command"
REASONS = {
    "aliases": _OF_THE_LEDGER,
    "authors": "the owner of a task stands in its metadata: --owner",
    "base": "write what it takes from the other file into this one",
    "commitMessage": _OF_THE_COMMIT,
    "commit_message": _OF_THE_COMMIT,
    "configuration": _OF_THE_ALIAS,
    "connection": _OF_THE_ALIAS,
    "conversation": HISTORY,
    "displayName": _OF_THE_TASK,
    "frequency_penalty": NO_PARAMETER,
    "labels": _OF_THE_LEDGER,
    "max_tool_calls": NO_TOOLS,
    "metadata": "say it in the description or the owner of the metadata",
    "name": _OF_THE_TASK,
    "parallel_tool_calls": NO_TOOLS,
    "presence_penalty": NO_PARAMETER,
    "previous_response_id": HISTORY,
    "reasoning": _OF_THE_MODEL,
    "reasoning_effort": _OF_THE_MODEL,
    "resolutionGraph": "the prompt stands here as a whole",
    "response": "an answer here is all that the model says first",
    "stop": NO_PARAMETER,
    "tags": NO_TAGS,
    "toolDefs": NO_TOOLS,
    "tool_choice": NO_TOOLS,
    "tools": NO_TOOLS,
    "variant": "a variant is a task or a version of its own here",
    "version": "an imported task begins at its own first version",
}
"""By the keys that tools have in a prompt, in its front matter or in a request."""
