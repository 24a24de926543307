"""The TCP proxy before a server: it wakes the server, hides its process ids and routes cancel requests."""
