"""One prompt's life on one machine, without AWS and without a model: `prompt-hub demo`."""
