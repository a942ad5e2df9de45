"""A thousand tasks and a million example lines, and what `cdk synth` takes beyond its libraries."""
