"""The verbs as Invoke's tasks: verbs/ has a file for each."""

from __future__ import annotations

from pathlib import Path

from verbs import collect

namespace = collect(Path(__file__).resolve().parent)
