"""PostgreSQL servers of this machine: their programs, the account that runs them, their processes and pid files.

What keeps a server is built on it: the local database of a checkout (pipeline/postgres), Neon's computes (emulator), tests.
"""
