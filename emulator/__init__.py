"""Neon's control plane on local PostgreSQL, for rehearsals without an account.

A project is an initdb, a branch a copy of its parent's data directory, an endpoint a server process behind a front
door. Read docs/emulator.md; start it with `python -m emulator`.
"""
