"""`check`: what CI proves of a checkout, for people, programs or GitHub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from verbs import JSON, on_local, verb

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.check.checking import Checked
    from pipeline.deploy.observer import Observer
    from pipeline.generate.fixing import Fixed


@verb(
    "checkout",
    "CI",
    flags={
        "base": "a branch or commit: what is on it must not be edited or removed, and is not linted again",
        "everything": "lint every file, those on the base too",
        "fix": "write what stops writers anew, in files that do not, where the generator knows how",
        "json": JSON,
        "github": "print annotations for GitHub",
    },
    bare="base",
)
def check(
    root: Path,
    base: str = "",
    everything: bool = False,
    fix: bool = False,
    json: bool = False,
    github: bool = False,
) -> None:
    """Prove that the migrations build schema.sql, and lint them."""
    from pipeline.check import check_here, fix_here

    run = fix_here if fix else check_here
    with on_local(root, "check") as checkout:
        checked = run(checkout, base=base or None, lint_everything=everything)
        if isinstance(checked, tuple):
            fixed, checked = checked
            _show_fixed(fixed, checkout.observer)
    _show(checked, "json" if json else "github" if github else "text")
    _refuse_findings(checked)


def _show(checked: Checked, form: Literal["text", "json", "github"]) -> None:
    from pipeline.console.terminal import write_out
    from pipeline.console.text import counted, say
    from pipeline.lint.reporting import as_annotations, as_text

    if form == "json":
        from pipeline.console.documents import check_document, print_document

        print_document(check_document(checked))
        return
    if checked.findings:
        if form == "github":
            write_out(as_annotations(checked.findings) + "\n", commands=True)
        else:
            say(as_text(checked.findings))
    if form == "text" or not checked.findings:
        say(f"{counted(checked.migrations)}, {checked.linted} linted: {_found(checked)}")


def _show_fixed(fixed: Sequence[Fixed], observer: Observer) -> None:
    """Say which migrations were written anew, and why others were not: beside the report, so that JSON stays one document."""
    for each in fixed:
        if each.written:
            observer.note(f"{each.id} was written anew: {', '.join(each.written)}. Read the files, rollbacks too.")
        else:
            observer.note(f"{each.id} is left as it is: {each.why_not}")


def _refuse_findings(checked: Checked) -> None:
    from pipeline.errors import InvalidPlan

    if checked.findings:
        raise InvalidPlan(_found(checked), remedy="Each says what to do about it.")


def _found(checked: Checked) -> str:
    from pipeline.console.text import counted

    return counted(len(checked.findings), "finding")
