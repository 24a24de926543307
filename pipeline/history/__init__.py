"""The history that a database keeps of itself: yoyo's tables in a schema of our own, and two small ones beside them."""

from pipeline.history.reading import READ, History, Marker, RolePassword, Unfinished, parse_history
from pipeline.history.tables import CREATE, SCHEMA

__all__ = ["CREATE", "READ", "SCHEMA", "History", "Marker", "RolePassword", "Unfinished", "parse_history"]
