"""Pages for a browser: one file each, with nothing in it that a browser would fetch or run.

A page has no script and asks nobody for anything, which it also tells the browser (its Content-Security-Policy). It follows
the reader's light or dark setting, and what is wider than a screen scrolls by itself, with the keyboard too.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.console.terminal import printable
from pipeline.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# Contrasts are 4.5:1 or more on both grounds; a test measures them.
_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1c1e21; --aside: #5a6069; --line: #c9ced6; --raised: #f3f5f8;
  --link: #0b57b8; --slow: #b3261e; --bar: #2f6db5; --good: #1a6e3a; --due: #8a5200; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181b; --text: #e7e9ec; --aside: #a5acb6; --line: #444a53;
  --raised: #22262b; --link: #8ab8f5; --slow: #ff9d92; --bar: #77aef0; --good: #86d8a4; --due: #f0c26b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
header, nav, main { max-width: 76rem; margin: 0 auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; overflow-wrap: anywhere; }
p { max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--link); }
a:focus-visible, .wide:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none; }
.skip { position: absolute; left: -99rem; } .skip:focus { left: 1rem; top: .5rem; background: var(--ground); padding: .5rem; }
.aside { color: var(--aside); }
.slow { color: var(--slow); font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
th.number, td.number { text-align: right; } td.number { white-space: nowrap; }
code { font: .875em/1.5 ui-monospace, monospace; }
svg { display: block; } svg text { fill: var(--text); font: 13px system-ui, sans-serif; }
svg .aside { fill: var(--aside); } svg .grid { stroke: var(--line); } svg .limit { stroke: var(--slow); stroke-dasharray: 6 4; }
svg .mark { fill: var(--bar); } svg .mark.is-slow { fill: var(--slow); }
svg .box { fill: var(--raised); stroke: var(--line); } svg .head { font-weight: 600; }
svg .arrow { fill: none; stroke: var(--bar); stroke-width: 1.5; }
.good { color: var(--good); } .due { color: var(--due); }
.badge { display: inline-block; border: 2px solid; border-radius: .4em; padding: 0 .45em; font-size: .75em; font-weight: 600; }
.reason { font-size: 1.1rem; }
dl.facts { display: flex; flex-wrap: wrap; gap: .4rem 2rem; margin: 0; } dt { color: var(--aside); font-size: .875rem; }
dd { margin: 0; overflow-wrap: anywhere; } li { max-width: 46rem; overflow-wrap: anywhere; } pre { margin: 0; }
figure { margin: 1rem 0; } summary { cursor: pointer; } summary:focus-visible { outline: 3px solid var(--link); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; margin: .8rem 0; padding: 0; list-style: none; font-size: .875rem; }
td.told { min-width: 10rem; overflow-wrap: break-word; } h3 code { font-size: 1em; font-weight: inherit; }
.timeline { position: relative; } .timeline svg { overflow: visible; } .names { position: absolute; left: 0; top: 0; }
.legend svg { display: inline-block; vertical-align: -2px; }
svg .slow { fill: var(--slow); } svg .number { fill: var(--aside); font-size: 12px; } svg .ground { fill: var(--ground); }
svg .band { fill: none; pointer-events: all; } svg .band.is-even { fill: var(--raised); }
svg .mark.is-accepted { fill: url(#hatched); stroke: var(--bar); }
svg .mark.is-vague { fill: none; stroke: var(--bar); stroke-width: 1.5; stroke-dasharray: 3 2; }
@media (max-width: 30rem) { th, td { padding-right: .5rem; font-size: .875rem; } }
@media print { .wide { overflow: visible; } }
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: ready HTML, and the class of its style."""

    html: str
    style: str = ""


def text(value: str) -> str:
    """A text as HTML that shows it, whatever stands in it; what would turn its direction is written out."""
    return html.escape(printable(value))


def code(value: str) -> str:
    """A text as HTML, as code."""
    return f"<code>{text(value)}</code>" if value else ""


def page(title: str, body: str) -> str:
    """A whole page. `body` is HTML: a header, and what else is to stand there."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#content">To the content</a>\n{body}\n</body>\n</html>\n'
    )


def wide(label: str, content: str) -> str:
    """What may be wider than the screen: it scrolls by itself, and the keyboard reaches it."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{text(label)}">{content}</div>'


def table(label: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table with a row of heads (texts), and its cells. A head stands over numbers as they stand, to the right."""
    cells = [list(row) for row in rows]
    numeric = [all("number" in cell.style for cell in column) for column in zip(*cells, strict=True)] or [False] * len(
        heads
    )
    head = "".join(
        f'<th scope="col"{_styled("number" if is_number else "")}>{text(each)}</th>'
        for each, is_number in zip(heads, numeric, strict=True)
    )
    lines = "".join(
        f"<tr>{''.join(f'<td{_styled(cell.style)}>{cell.html}</td>' for cell in row)}</tr>\n" for row in cells
    )
    return wide(label, f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody></table>")


def _styled(style: str) -> str:
    return f' class="{style}"' if style else ""


def write(path: Path, whole: str) -> None:
    """Write a page into a file.

    Raises:
        UsageError: there is no such folder, or the file cannot be written.
    """
    try:
        path.write_text(whole, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            f"cannot write it: {error.strerror}", where=str(path), remedy="Name a file in a folder that there is."
        ) from error
