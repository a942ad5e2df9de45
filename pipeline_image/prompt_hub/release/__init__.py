"""From a promoted tree to a stage that serves it: image, activation, smoke test, record."""
