"""What the reading of a file itself finds wrong: the same for every layer."""

from __future__ import annotations

UNREACHABLE = "example-set-unread"
"""What says nothing about the repository: what it names in S3 could not be read."""

READING_RULES: dict[str, tuple[str, str]] = {
    "symlink": (
        "No symbolic link leads out of the tree, to nothing, or to a folder.",
        "Put the file itself where the link is.",
    ),
    "not-a-file": (
        "Everything below `prompts/` is a plain file that can be read.",
        "Remove the pipe, device or socket, or give the file its read permission.",
    ),
    "too-large": (
        "A file has at most 1 MB, JSON lines and the registry at most 50 MB.",
        "Leave out what does not belong there; a large set of examples goes into S3:"
        " `prompt-hub examples push TASK FILE`.",
    ),
    "utf-8": (
        "Files are UTF-8 text.",
        "Save the file as UTF-8; `file NAME` says what it is now.",
    ),
    "bom": (
        "Files have no byte order mark.",
        "Save as UTF-8 without BOM.",
    ),
    "crlf": (
        "Lines end with a line feed alone, so that a hash is the same on every machine.",
        "Save with LF line ends; `prompts/.gitattributes` keeps git from changing them.",
    ),
    "control-character": (
        "No file has NUL or another control character in it; evidence of models' answers may.",
        "Delete the character; inside JSON or a quoted text write it as an escape.",
    ),
    "hidden-character": (
        "No file has characters that people cannot see and models can read, by Unicode's own"
        " properties (default-ignorable, line separators, marks of annotations, replacement"
        " characters), but where emoji, Arabic, Thai, Khmer or the scripts of India need them.",
        "Delete the character; a text that must hold it says so by an escape, such as `\\u200b`.",
    ),
    "conflict-marker": (
        "No file has markers in it of a merge that git could not make.",
        "Keep one of the two sides, or what both mean, and delete the three markers. In"
        " `prompt_registry.yaml`, 02-production, 04-evals and 99-archive keep neither: promotion"
        " writes them together, and a side alone loses what the other has released. Go back (`git"
        " rebase --abort`, `git merge --abort`), drop your commit of promotion, pull, and run the"
        " command of it again.",
    ),
    "yaml-syntax": (
        "YAML files are YAML.",
        "Look at the place that is named and the line above it; often a quote or a colon is amiss.",
    ),
    "tab": (
        "YAML is indented with spaces.",
        "Replace the tab; an editor that knows `.yaml` does it by itself.",
    ),
    "alias": (
        "YAML has no aliases and no merge keys: a handful of them expands to gigabytes.",
        "Write the value itself.",
    ),
    "tag": (
        "YAML has no tags: they make objects out of texts.",
        "Write the plain value, in quotes if it has to be a text.",
    ),
    "several-documents": (
        "A YAML file holds one document.",
        "Take the `---` and everything behind it out.",
    ),
    "ambiguous-value": (
        "What YAML reads as something else is written in quotes: yes, off, 010, 1:30, 1_000.",
        "Put the value in quotes if it is a text, or write true, false or the plain number.",
    ),
    "duplicate-key": (
        "A key stands in a mapping once.",
        "Delete the one that is not meant; readers would take the last one silently.",
    ),
    "too-deep": (
        "Values are nested at most 50 deep.",
        "Flatten them.",
    ),
    "not-finite": (
        "Numbers are finite.",
        "Write a number; null or leaving the key out says that there is none.",
    ),
    "json-syntax": (
        "JSON files hold one JSON value, JSONL files one on every line.",
        "Look at the column that is named; often a comma or a quote is amiss.",
    ),
    "surrogate": (
        "JSON escapes make whole characters.",
        "Write the character itself instead of half of its escape.",
    ),
    "unknown-key": (
        "A file has only the keys that its format knows.",
        "Correct the spelling, or delete the key.",
    ),
    "missing-key": (
        "A file has every key that its format needs.",
        "Add the key.",
    ),
    "value": (
        "A value is of the type and in the range that its key needs.",
        "Write a value such as the one that is expected.",
    ),
    "lock": (
        "A released prompt has a lock, and its content hashes to it.",
        "Undo the hand edit (`git checkout`), and change the candidate in 00-templates instead.",
    ),
    "building-block": (
        "An included building block is a file of 00-templates.",
        "Correct the name in the include, or add the file.",
    ),
    "block-circle": (
        "Building blocks include one another without a circle, and few deep.",
        "Take out one of the includes that are named.",
    ),
    "example-set": (
        "A reference to an example set in S3 is one line that names the set by its hash, and the"
        " set has that hash, size and count.",
        "Write it with `prompt-hub examples push TASK FILE`.",
    ),
    UNREACHABLE: (
        "The example set that a reference names can be read. Where this alone is amiss, `validate`"
        " ends with 3: nothing was measured.",
        "Mend credentials or network, or put the set there: `prompt-hub examples push TASK FILE`.",
    ),
    "few-shot": (
        "There are as many examples with `split: shot` as the prompt shows.",
        "Lower `few_shot.count`, or label more examples as shots.",
    ),
}
"""Id → a line of documentation, and how to mend what breaks the rule."""
