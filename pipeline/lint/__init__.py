"""Lint of migration files: squawk for what concerns any PostgreSQL, our own rules for Neon and our roles."""

from pipeline.lint.finding import Finding
from pipeline.lint.linting import lint
from pipeline.lint.locks import lock_of
from pipeline.lint.reporting import as_annotations, as_json, as_text
from pipeline.lint.source import Source, read_sources

__all__ = ["Finding", "Source", "as_annotations", "as_json", "as_text", "lint", "lock_of", "read_sources"]
