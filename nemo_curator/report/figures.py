"""Numbers as people read them."""

from __future__ import annotations

import math

MINUS, DASH = "\u2212", "\u2013"
"""A minus as wide as a plus, and what stands for nothing."""

_BYTES = ("B", "kB", "MB", "GB", "TB", "PB")


def rows(number: float) -> str:
    return f"{number:,.0f}"


def signed(number: float) -> str:
    """A change of a number of rows, with a sign that is as wide as a digit."""
    return f"+{number:,.0f}" if number > 0 else f"{MINUS}{-number:,.0f}" if number < 0 else "0"


def share(part: float, whole: float) -> str:
    """A share in percent. What is not all is not called 100.0%, and what is not nothing not 0.0%."""
    if not whole:
        return DASH
    fraction = part / whole
    if 0 < fraction < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= fraction < 1 else f"{fraction:.1%}"


def percent(part: float, whole: float) -> float:
    """A share as a number from 0 to 100, for the lengths of bars."""
    return round(100 * min(max(part / whole, 0.0), 1.0), 2) if whole else 0.0


def nbytes(number: float) -> str:
    """A number of bytes, a thousand of which are a kilobyte."""
    place = 0
    while abs(number) >= 999.5 and place < len(_BYTES) - 1:
        number, place = number / 1000, place + 1
    return f"{number:.0f} B" if not place else f"{number:.{0 if number >= 99.5 else 1}f} {_BYTES[place]}"


def duration(seconds: float) -> str:
    if seconds < 0.0995:
        return f"{seconds * 1000:.{1 if 0 < seconds < 0.00995 else 0}f} ms"
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def rate(number: float, seconds: float) -> str:
    """How many a second, or a dash where no time was taken."""
    if not seconds or not number:
        return DASH
    each = number / seconds
    return f"{each:,.0f}" if each >= 9.95 else f"{each:.2g}"


def score(value: float) -> str:
    """A score, to four figures and never in powers of ten where digits are short."""
    size = abs(value)
    if size < 1e-300 or not math.isfinite(value):
        return "0" if size < 1 else f"{value:g}"
    if size >= 1e15 or size < 1e-4:
        return f"{value:.3g}"
    digits = max(0, 3 - math.floor(math.log10(size)))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def plural(number: float, one: str, many: str | None = None) -> str:
    return f"{number:,.0f} {one if number == 1 else many or f'{one}s'}"
