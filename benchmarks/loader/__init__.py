"""Looking up and rendering the active prompt in a process, beside Langfuse and plain Jinja2."""
