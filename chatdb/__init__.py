"""The queries of a chat on dbclient: threads, messages, consents, usage. Importing it opens nothing."""
