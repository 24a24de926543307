"""A value that holds a password: it cannot be changed, and gives the password away to nothing that takes values apart.

It is no dataclass, since `dataclasses.asdict` of whatever holds it would then write the password into a dictionary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from typing import NoReturn


class Sealed:
    """A base for such a value. Its fields are the names in `__slots__`, set once by `_set`."""

    __slots__ = ()

    def _set(self, **fields: object) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        how = "; copy_with makes a changed copy" if hasattr(self, "copy_with") else ""
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be set{how}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is immutable: {name} cannot be deleted")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is not pickled: the copy would hold the password in the clear")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self
