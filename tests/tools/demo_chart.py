# SPDX-License-Identifier: Apache-2.0
"""The two drawings of the demo's page as SVG text. Colours are classes that the page defines, so that
a drawing follows its light or dark scheme; each is drawn wide and narrow, and the page shows the one
that fits, with letters of the same size.
"""
import math
from xml.sax.saxutils import escape

WIDTHS = {"wide": 720, "narrow": 340}


def ticks(low, high, most=6):
    """(value, text) of round numbers from `low` to `high`, at most `most`."""
    raw = (high - low) / most
    power = 10 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw)
    first = math.ceil(low / step - 1e-9)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(k * step, f"{k * step:.{places}f}") for k in range(first, math.floor(high / step + 1e-9) + 1)]


class Drawing:
    def __init__(self, kind, height, title, description):
        self.width, self.height, self.kind = WIDTHS[kind], height, kind
        self.parts = [f'<svg class="{kind}" viewBox="0 0 {self.width} {height}" role="img" '
                      f'aria-label="{escape(title)}: {escape(description)}">']

    def line(self, x1, y1, x2, y2, style):
        self.parts.append(f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" '
                          f'y2="{y2:.1f}"/>')

    def path(self, points, style):
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline class="{style}" points="{text}"/>')

    def dot(self, x, y, style, radius=3.0):
        self.parts.append(f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>')

    def text(self, x, y, text, anchor="start", style="label"):
        self.parts.append(f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" '
                          f'text-anchor="{anchor}">{escape(str(text))}</text>')

    def svg(self):
        return "".join(self.parts) + "</svg>"


def intervals(kind, rows, title):
    """A dot with its interval for each (label, value, low, high)."""
    band, top, left = 56, 8, 12
    d = Drawing(kind, top + band * len(rows) + 34, title,
                "; ".join(f"{label} {value:.2f}, from {low:.2f} to {high:.2f}"
                          for label, value, low, high in rows))
    least, most = min(r[2] for r in rows), max(r[3] for r in rows)
    margin = 0.06 * (most - least)
    least, most = least - margin, most + margin
    bottom = top + band * len(rows)

    def place(value):
        return left + (value - least) / (most - least) * (d.width - 2 * left)

    for tick, number in ticks(least, most):
        d.line(place(tick), top, place(tick), bottom, "grid")
        d.text(place(tick), bottom + 16, number, "middle")
    for index, (label, value, low, high) in enumerate(rows):
        y = top + band * index + 38
        d.text(left, y - 17, f"{label}: {value:.2f}", style="name")
        d.line(place(low), y, place(high), y, f"bar s{index}")
        for end in (low, high):
            d.line(place(end), y - 6, place(end), y + 6, f"bar s{index}")
        d.dot(place(value), y, f"dot s{index}", 6)
    d.text(d.width - left, bottom + 31, "perplexity, lower is better", "end")
    return d.svg()


def smoothed(points, reach):
    """The mean of each point and its `reach` neighbours on both sides."""
    out = []
    for index, (x, _) in enumerate(points):
        near = points[max(0, index - reach):index + reach + 1]
        out.append((x, sum(y for _, y in near) / len(near)))
    return out


def losses(kind, steps, held_out, title):
    """The loss of each step, their running mean, and the held-out measurements."""
    left, right, top, bottom = 40, 12, 10, 40
    height = 320 if kind == "wide" else 280
    first, last = steps[0][1], steps[-1][1]
    d = Drawing(kind, height, title, f"from {first:.2f} at the first step to {last:.2f} at the last "
                f"of {steps[-1][0]}; the table below has every number")
    values = [y for _, y in steps + held_out]
    least, most = min(values), max(values)
    margin = 0.05 * (most - least)
    least, most = least - margin, most + margin

    def place(x, y):
        return (left + x / steps[-1][0] * (d.width - left - right),
                height - bottom - (y - least) / (most - least) * (height - top - bottom))

    for tick, number in ticks(least, most):
        y = place(0, tick)[1]
        d.line(left, y, d.width - right, y, "grid")
        d.text(left - 6, y + 4, number, "end")
    for tick, number in ticks(0, steps[-1][0], 8 if kind == "wide" else 5):
        d.text(place(tick, least)[0], height - bottom + 18, number, "middle")
    d.text(d.width - right, height - 6, "training step", "end")
    for x, y in steps:
        d.dot(*place(x, y), "step", 2)
    d.path([place(*p) for p in smoothed(steps, 4)], "curve s1")
    d.path([place(*p) for p in held_out], "curve s2 dashed")
    for x, y in held_out:
        d.dot(*place(x, y), "dot s2", 4.5)
    return d.svg()


def both(draw, *arguments):
    return "".join(draw(kind, *arguments) for kind in WIDTHS)
