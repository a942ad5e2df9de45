"""The console: a stage, its pipeline and its evaluations in a browser on this machine; read only.

`stage` asks AWS and `clone` reads git's side; `pages` puts both together; `app` serves what
`guard` lets through.
"""
