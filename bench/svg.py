"""Horizontal bars as an SVG file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

_WIDTH = 940
_LABEL = 240
_VALUE = 140
_BAR = _WIDTH - _LABEL - _VALUE
_ROW = 22
_HEAD = 30
_TEXT = "#1f2328"
_STYLE = f'font-family="sans-serif" font-size="13" fill="{_TEXT}"'


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, what is written behind it, and its parts in order, by the key of their colour."""

    label: str
    value: str
    parts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars that share a scale, which ends with the longest of them."""

    title: str
    bars: Sequence[Bar]


def drawing(title: str, panels: Sequence[Panel], colours: Mapping[str, str], *, has_legend: bool) -> str:
    """All panels below one another; `colours` are those of the parts, told in the legend by their keys."""
    lines, y = [words(10, 24, title, weight="bold", size=16)], 40
    if has_legend:
        lines.append(_legend(colours, y + 4))
        y += _ROW
    for panel in panels:
        lines.append(words(10, y + 20, panel.title, weight="bold"))
        y += _HEAD
        longest = max((sum(bar.parts.values()) for bar in panel.bars), default=0.0)
        for bar in panel.bars:
            lines += _bar(bar, y, _BAR / longest if longest else 0.0, colours)
            y += _ROW
    return document(title, lines, width=_WIDTH, height=y + 12)


def document(title: str, lines: Sequence[str], *, width: int, height: int) -> str:
    """The file, with what is drawn in it."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img" {_STYLE}>'
    ground = '<rect width="100%" height="100%" fill="white"/>'
    return "\n".join([head, f"<title>{escape(title)}</title>", ground, *lines, "</svg>", ""])


def _bar(bar: Bar, y: int, scale: float, colours: Mapping[str, str]) -> list[str]:
    lines, x = [words(_LABEL - 10, y + 15, bar.label, anchor="end")], float(_LABEL)
    for key, value in bar.parts.items():
        lines.append(_box(x, y + 3, value * scale, colours[key]))
        x += value * scale
    return [*lines, words(x + 6, y + 15, bar.value)]


def _legend(colours: Mapping[str, str], y: int) -> str:
    lines, x = [], _LABEL
    for key, colour in colours.items():
        lines += [_box(x, y, 14, colour), words(x + 20, y + 12, key)]
        x += 50 + 8 * len(key)
    return "\n".join(lines)


def _box(x: float, y: int, width: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{max(width, 0.5):.1f}" height="16" fill={quoteattr(colour)}/>'


def words(
    x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal", size: int = 13
) -> str:
    """Text whose line is at `y`."""
    style = f'text-anchor="{anchor}" font-weight="{weight}" font-size="{size}"'
    return f'<text x="{x:.1f}" y="{y:g}" {style}>{escape(text)}</text>'
