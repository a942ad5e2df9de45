"""The console: a stage and its evaluations in a browser on this machine, and labels to grade.

`stage` asks AWS and `clone` reads git's side; `pages` puts both together; `app` serves what
`guard` lets through. `label` writes what people grade into files of the clone; nothing else writes.
"""
