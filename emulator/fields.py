"""Reads a request's JSON: absent and null are the same, a wrong type is a 400."""

from __future__ import annotations

from typing import Any, TypeVar

from emulator.errors import bad_request

Item = TypeVar("Item")
_LONGEST_TEXT = 256  # characters; what Neon's specification allows a branch's name


class Fields:
    """An object of a request body."""

    def __init__(self, content: object, where: str = "body") -> None:
        if not isinstance(content, dict):
            raise bad_request(f"{where} must be an object")
        self.content: dict[str, Any] = content
        self._where = where

    def __contains__(self, name: str) -> bool:
        return self.content.get(name) is not None

    def inner(self, name: str) -> Fields:
        """The object of that name; an empty one when absent."""
        value = self.content.get(name)
        return Fields({} if value is None else value, f"{self._where}.{name}")

    def required(self, name: str) -> Fields:
        """The object of that name; 400 when absent."""
        if name not in self:
            raise bad_request(f"{self._where}.{name} is required")
        return self.inner(name)

    def objects(self, name: str) -> list[Fields]:
        """A list of objects."""
        value = self.content.get(name)
        items = [] if value is None else value
        if not isinstance(items, list):
            raise bad_request(f"{self._where}.{name} must be a list")
        return [Fields(item, f"{self._where}.{name}[{index}]") for index, item in enumerate(items)]

    def mapping(self, name: str) -> dict[str, Any]:
        """An object as it is, without what is null in it."""
        return {key: value for key, value in self.inner(name).content.items() if value is not None}

    def mapping_keys(self) -> list[str]:
        """The names of what is there and not null."""
        return [key for key, value in self.content.items() if value is not None]

    def texts(self, name: str) -> list[str]:
        """A list of text; an empty one when absent."""
        return self._list(name, str, "strings")

    def wholes(self, name: str) -> list[int]:
        """A list of integers; an empty one when absent."""
        return self._list(name, int, "integers")

    def _list(self, name: str, kind: type[Item], wanted: str) -> list[Item]:
        value = self.content.get(name)
        items = [] if value is None else value
        if not isinstance(items, list) or not all(type(item) is kind for item in items):
            raise bad_request(f"{self._where}.{name} must be a list of {wanted}")
        return items

    def text(self, name: str, default: str = "") -> str:
        """Text of at most 256 characters, or the default."""
        text = str(self._typed(name, (str,), default, "a string"))
        if len(text) > _LONGEST_TEXT:
            raise bad_request(f"{self._where}.{name} must have at most {_LONGEST_TEXT} characters")
        return text

    def name(self, present: str) -> str:
        """The field `name` of something that has one: what it is, if absent; never empty."""
        name = self.text("name", present)
        if not name.strip():
            raise bad_request(f"{self._where}.name must not be empty")
        return name

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean, or the default."""
        return bool(self._typed(name, (bool,), default, "a boolean"))

    def whole(self, name: str, default: int = 0) -> int:
        """An integer, or the default."""
        return int(self._typed(name, (int,), default, "an integer"))

    def number(self, name: str, default: float = 0.0) -> float:
        """A number, or the default."""
        return float(self._typed(name, (int, float), default, "a number"))

    def _typed(self, name: str, types: tuple[type, ...], default: Any, wanted: str) -> Any:
        value = self.content.get(name)
        if value is None:
            return default
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise bad_request(f"{self._where}.{name} must be {wanted}")
        return value
