"""A PostgreSQL server: where its programs are, how a local one is run, and how a session on one is opened."""
