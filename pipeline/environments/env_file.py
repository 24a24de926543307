"""`.env` as python-dotenv reads it, and as the shell and Docker Compose do where they agree against it.

Docker Compose reads the same file by itself. In single quotes all is literal for both of them; python-dotenv would put
variables there too. What is set in the environment wins over a line of the file inside other lines as well.
"""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING

from pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dotenv.parser import Binding

_SINGLE_QUOTED = re.compile(r"\s*(?:export\s+)?(?:'[^']+'|[^=#\s]+)\s*=[^\S\n]*'")


def read_env_file(file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The file's variables; `${NAME}` and `${NAME:-default}` are replaced by those of `environ`, else of lines before.

    Raises:
        ConfigurationError: it cannot be read; `where` names the line, and nothing of the line is shown.
    """
    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    for binding in parse_stream(StringIO(_text(file))):
        if binding.error:
            raise ConfigurationError(
                "it is not of the form NAME=value",
                where=f"{file.name}:{_line(binding)}",
                remedy="Correct the line, or begin it with # (a value with spaces or # stands in single quotes).",
            )
        if binding.key is not None and binding.value is not None:
            values[binding.key] = _value(binding, {**values, **environ})
    return values


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read it: {error.strerror}", where=file.name) from error
    try:
        text = data.decode("utf-8-sig")  # a byte order mark would become a part of the first name
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            where=f"{file.name}:{line}",
            remedy="Save it as UTF-8.",
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigurationError("a NUL character", where=f"{file.name}:{line}", remedy="Save it as UTF-8, without it.")
    return text


def _value(binding: Binding, known: Mapping[str, str]) -> str:
    from dotenv.variables import parse_variables

    value = binding.value or ""
    if _SINGLE_QUOTED.match(binding.original.string):
        return value
    return "".join(part.resolve(known) for part in parse_variables(value))


def _line(binding: Binding) -> int:
    """Where it begins: the parser counts empty lines before it as its own."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
