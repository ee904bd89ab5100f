"""Rows that were kept and dropped, to be looked at: texts as texts, images as small pictures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from nemo_curator.report import figures
from nemo_curator.report.account import FilterAccount, Mark
from nemo_curator.report.html import Html, cut, join, tag
from nemo_curator.report.record import Record

TEXT_CHARS = 500
SHOWN = 2
"""How many samples of a kind are seen without opening the others."""
_IMAGE = re.compile(r"data:image/(?:jpeg|png|webp|gif);base64,[A-Za-z0-9+/]+={0,2}")
_IMAGE_CHARS = 100_000


@dataclass
class Budget:
    """How many characters of samples a page may still take."""

    chars: int

    def takes(self, sample: Record) -> bool:
        cost = 400 + len(str(sample.get("text") or "")[:TEXT_CHARS]) + len(image_of(sample) or "")
        if cost > self.chars:
            return False
        self.chars -= cost
        return True


def samples(one: FilterAccount, thresholds: list[Mark], budget: Budget) -> Html | None:
    """Dropped and kept rows of a filter side by side, those next to the threshold first."""
    columns = []
    for kind, title in (("dropped", "Dropped"), ("kept", "Kept")):
        there = [each for each in one.samples.get(kind) or [] if isinstance(each, dict)]
        taken = [each for each in sorted(there, key=lambda each: _distance(each, thresholds)) if budget.takes(each)]
        if there:
            columns.append(_column(kind, title, taken, len(there) - len(taken)))
    if not columns:
        return None
    pair = tag("div", columns, class_="pair")
    return pair if one.samples.get("dropped") else tag("details", tag("summary", "Samples of what was kept"), pair)


def sheet(kind: str, shown: list[Record]) -> Html:
    """Small pictures side by side, each with its score."""
    return tag("ul", [tag("li", _picture(each, kind)) for each in shown], class_="sheet")


def image_of(sample: Record) -> str | None:
    """The picture of a sample, where it is one that a browser only draws."""
    found = sample.get("image")
    if isinstance(found, str) and len(found) <= _IMAGE_CHARS and _IMAGE.fullmatch(found):
        return found
    return None


def excerpt(sample: Record) -> Html:
    """A row as text, with what is known of where it is from."""
    text = sample.get("text")
    body = tag("pre", cut(text, TEXT_CHARS), dir="auto") if text is not None else None
    if text is not None and not str(text).strip():
        body = tag("p", "A text without a visible character.", class_="note")
    named = ("score", "id", "similarity")
    facts = [f"{name} {_fact(sample[name])}" for name in named if _has(sample, name)]
    if _has(sample, "source"):
        facts.append(cut(sample["source"], 200))
    return join(body, tag("p", " · ".join(facts), class_="from") if facts else None)


def _column(kind: str, title: str, taken: list[Record], left_out: int) -> Html:
    mark = "✗" if kind == "dropped" else "✓"
    parts: list[Any] = [tag("h4", tag("span", mark, aria_hidden="true"), f" {title}")]
    pictures = [each for each in taken if image_of(each)]
    texts = [each for each in taken if not image_of(each)]
    if pictures:
        parts.append(sheet(kind, pictures))
    if texts:
        parts.append(_texts(texts[:SHOWN], kind))
    if texts[SHOWN:]:
        more = figures.plural(len(texts) - SHOWN, f"more {kind} row")
        parts.append(tag("details", tag("summary", more), _texts(texts[SHOWN:], kind)))
    if left_out:
        parts.append(tag("p", f"{figures.plural(left_out, 'sample')} left out: see the record.", class_="note"))
    return tag("div", parts, class_=f"samples of-{kind}")


def _texts(shown: list[Record], kind: str) -> Html:
    return tag("ul", [tag("li", excerpt(each)) for each in shown], class_="texts")


def _picture(sample: Record, kind: str) -> Html:
    words = cut(sample.get("text") or sample.get("id") or "image", 100)
    facts = [f"{_fact(sample['score'])}" if _has(sample, "score") else None, f"{words}" if sample.get("id") else None]
    caption = " · ".join(fact for fact in facts if fact)
    title = f"{kind}: {words}" + (f", {cut(sample['source'], 200)}" if _has(sample, "source") else "")
    picture = tag("img", src=Html(image_of(sample) or ""), alt=title, title=title, loading="lazy")
    return tag("figure", picture, tag("figcaption", caption) if caption else None)


def _distance(sample: Record, thresholds: list[Mark]) -> float:
    score = sample.get("score")
    if not thresholds or not isinstance(score, int | float) or isinstance(score, bool):
        return 0.0
    return min(abs(score - value) for value, _ in thresholds)


def _has(sample: Record, key: str) -> bool:
    return sample.get(key) is not None


def _fact(value: Any) -> str:
    is_number = isinstance(value, float) and abs(value) < 1e300
    return figures.score(value) if is_number else cut(value, 100)
