"""The templates whose text belongs to the sentence that they stand in, and how it reads.

All others are dropped: boxes, notes, sources, navigation. A handler gets the arguments of a call as they read, those
without a name in order, and returns the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

Arguments = tuple[list[str], dict[str, str]]
Handler = Callable[[list[str], dict[str, str]], str]

_MONTHS = "January February March April May June July August September October November December"
_MONTH_NAMES = {str(number): name for number, name in enumerate(_MONTHS.split(), start=1)}
EN_DASH, TIMES = "\u2013", "\u00d7"
RANGES = {"-": EN_DASH, EN_DASH: EN_DASH, "x": f" {TIMES} ", TIMES: f" {TIMES} ", "*": f" {TIMES} ", "+/-": " ± "}
RANGES |= {"to": " to ", "to(-)": " to ", "and": " and ", "or": " or ", "by": " by ", "±": " ± "}
UNITS = {"C": "°C", "F": "°F", "sqmi": "sq mi", "sqft": "sq ft", "cuft": "cu ft", "floz": "fl oz", "lbs": "lb"}
UNITS |= {"km2": "km²", "m2": "m²", "cm2": "cm²", "mm2": "mm²", "m3": "m³", "km3": "km³", "cm3": "cm³", "mi2": "sq mi"}
UNITS |= {"ft2": "sq ft", "km/h": "km/h", "kph": "km/h", "mph": "mph", "acre": "acres", "ha": "ha", "MT": "t"}
ACCIDENTALS = {"flat": "♭", "b": "♭", "sharp": "♯", "#": "♯", "natural": "♮", "n": "♮"}
SPOKEN = {"lang", "pron", "us", "uk", "local", "native", "also", "ipa", "generic", "link", "no", "respell"}

_FAMILIES = ("lang-", "langx-", "ipa-", "script/")
"""How the names of templates begin that come in one for each language or script."""


def read(name: str, arguments: list[str]) -> str:
    """Return what a call of a template reads as; most read as nothing."""
    handler = find(name)
    return "" if handler is None else handler(*_split(arguments)).strip("\n")


def find(name: str) -> Handler | None:
    """Return the handler of a template, by its name as it is written in a call."""
    key = name.strip().replace("_", " ").lower()
    handler = _HANDLERS.get(key)
    if handler is None and key.startswith(_FAMILIES):
        return _nth(1)
    return handler


def _split(arguments: list[str]) -> Arguments:
    positional: list[str] = []
    named: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.strip()
        if equals and key.replace("_", "").replace("-", "").replace(" ", "").isalnum() and len(key) < 30:
            if key.isdecimal():
                number = min(int(key[:3]), 20)
                positional += [""] * (number - len(positional))
                if number:
                    positional[number - 1] = value.strip()
            else:
                named[key.lower()] = value.strip()
        else:
            positional.append(argument.strip())
    return positional, named


def _get(positional: list[str], number: int) -> str:
    return positional[number - 1] if number <= len(positional) else ""


def _nth(*numbers: int, also: Iterable[str] = ()) -> Handler:
    """The first of these arguments that is there, or of those with these names."""
    names = tuple(also)

    def handler(positional: list[str], named: dict[str, str]) -> str:
        found = [_get(positional, number) for number in numbers] + [named.get(name, "") for name in names]
        return next(filter(None, found), "")

    return handler


def _as(text: str) -> Handler:
    return lambda positional, named: text


def _after(word: str) -> Handler:
    """A word and the arguments, as in "c. 1200"."""
    return lambda positional, named: f"{word} {EN_DASH.join(filter(None, positional[:2]))}".strip()


def _joined(separator: str) -> Handler:
    return lambda positional, named: separator.join(filter(None, positional))


def _words(*numbers: int) -> Handler:
    def handler(positional: list[str], named: dict[str, str]) -> str:
        return " ".join(filter(None, (_get(positional, number) for number in numbers)))

    return handler


def _ipa(positional: list[str], named: dict[str, str]) -> str:
    """The sounds alone: in its newer form the template gives a language before them."""
    first, second = _get(positional, 1), _get(positional, 2)
    return second if second and len(first) < 8 and first.replace("-", "").isascii() and first[:1].isalpha() else first


def _syllables(positional: list[str], named: dict[str, str]) -> str:
    return "-".join(filter(None, positional)).replace("-_-", " ").replace("-'", "'")


def _accidental(positional: list[str], named: dict[str, str]) -> str:
    return ACCIDENTALS.get(_get(positional, 1).lower(), "")


def _formula(positional: list[str], named: dict[str, str]) -> str:
    return f"${_get(positional, 1)}$" if _get(positional, 1) else ""


def _date(positional: list[str], named: dict[str, str]) -> str:
    year, month, day = (_get(positional, number) for number in (1, 2, 3))
    if not month:
        return year
    name = _MONTH_NAMES.get(month.lstrip("0"), month)
    if not day:
        return f"{name} {year}"
    if named.get("df", "n")[:1] in "ytd1":
        return f"{day} {name} {year}"
    return f"{name} {day}, {year}"


def _as_of(positional: list[str], named: dict[str, str]) -> str:
    if "alt" in named:
        return named["alt"]
    word = "as of" if named.get("lc", "n")[:1] in "yo" else "As of"
    return f"{word} {_date(positional, named | {'df': 'y'})}"


def _convert(positional: list[str], named: dict[str, str]) -> str:
    """The quantity as it was measured: `10|km|mi` is 10 km, `5|ft|6|in|m` is 5 ft 6 in, `2|to|3|kg` is 2 to 3 kg."""
    if len(positional) < 2:
        return "".join(positional)
    text = positional[0]
    rest = positional[1:]
    while len(rest) > 1 and rest[0] in RANGES:
        text += RANGES[rest[0]] + rest[1]
        rest = rest[2:]
    if rest:
        text += f" {UNITS.get(rest[0], rest[0])}"
    if len(rest) > 2 and rest[1].replace(".", "").isdecimal() and rest[2].isalpha():
        text += f" {rest[1]} {UNITS.get(rest[2], rest[2])}"
    return text


def _fraction(positional: list[str], named: dict[str, str]) -> str:
    parts = [part for part in positional[:3] if part]
    if len(parts) == 3:
        return f"{parts[0]} {parts[1]}/{parts[2]}"
    return "/".join(parts if len(parts) != 1 else ["1", *parts])


def _nihongo(positional: list[str], named: dict[str, str]) -> str:
    first, *others = [_get(positional, number) for number in (1, 2, 3, 4)]
    inside = ", ".join(filter(None, others))
    if not first:
        return inside
    return f"{first} ({inside})" if inside else first


def _phonemes(positional: list[str], named: dict[str, str]) -> str:
    sounds = "".join(part for part in positional if part.lower() not in SPOKEN).replace("_", " ")
    return f"/{sounds}/" if sounds else ""


def _chinese(positional: list[str], named: dict[str, str]) -> str:
    keys = ("c", "s", "t", "p", "w", "j", "poj", "hangul", "hanja", "rr", "mr", "l")
    found = [named[key] for key in keys if named.get(key)]
    return ", ".join(dict.fromkeys(found or filter(None, positional)))


def _link(positional: list[str], named: dict[str, str]) -> str:
    return named.get("lt") or _get(positional, 1)


def _ship(prefix: str) -> Handler:
    return lambda positional, named: f"{prefix} {_get(positional, 1)}"


def _money(sign: str) -> Handler:
    return lambda positional, named: f"{sign}{_get(positional, 1)}"


def _value(positional: list[str], named: dict[str, str]) -> str:
    text = _get(positional, 1)
    if named.get("e"):
        text += f" {TIMES} 10^{named['e']}"
    unit = named.get("u") or named.get("ul") or ""
    return f"{text} {unit}".strip()


def _ruby(positional: list[str], named: dict[str, str]) -> str:
    base, reading = _get(positional, 1), _get(positional, 2)
    return f"{base}({reading})" if reading else base


def _superscript(positional: list[str], named: dict[str, str]) -> str:
    return f"<sup>{_get(positional, 1)}</sup>"


def _subscript(positional: list[str], named: dict[str, str]) -> str:
    return f"<sub>{_get(positional, 1)}</sub>"


def _table() -> dict[str, Handler]:
    """One line for each way to read, and the names of the templates that are read so."""
    groups: list[tuple[Handler, str]] = [
        (_nth(1), "nowrap|nobr|nobreak|small|smaller|smallcaps|sc|big|bigger|larger|large|nobold|nocaps|noitalic"),
        (_nth(1), "abbr|tooltip|ipa link|ipalink|ipablink|ipaslink|iast|mpl|unicode|polytonic|overline|nihongo2"),
        (_nth(1), "script|hebrew|math|mvar|var|em|strong|dfn"),
        (_nth(1), "flag|flagcountry|flagu|nts|code|mono|kbd|samp|tt|key|vanchor|visible anchor|formatnum"),
        (_nth(1), "as written|not a typo|typo|sic|bracket|center|poem|angbr|angle bracket|lien|xt|mention"),
        (_nth(1), "columns-list|col-list|column list|plainlist|plain list"),
        (_nth(1), "仮リンク|jis2004フォント|補助漢字フォント|jis90フォント"),
        (_nth(3, 2), "transl|transliteration|tlit"),
        (_ipa, "ipa"),
        (_syllables, "respell"),
        (_nth(2), "lang|langx|rtl-lang|color|colored text|font color|audio|rt|wikt-lang|langr"),
        (_nth(2, 1), "lbl|wt|section link"),
        (_nth(1, also=("text", "quote", "content")), "quote|blockquote|cquote|quotation|bquote|rquote|poemquote"),
        (_nth(1, also=("text", "quote", "content")), "verse translation|zitat|citation bloc|cita|引用|quotation2"),
        (_nth(1, also=("lt",)), "ill|interlanguage link|red link"),
        (_as(f" {EN_DASH} "), "ndash|spaced ndash|snd|spnd|en dash|spaced en dash|dash|\u2013"),
        (_as("—"), "mdash|em dash|emdash|spaced mdash|—"),
        (_as(" · "), "·|dot|middot|•|bull|bullet"),
        (_as(" "), "nbsp|space|spaces|thin space|thinsp|nnbsp|pad|indent"),
        (_as("'"), "'|apostrophe"),
        (_as("'s"), "'s"),
        (_as("|"), "!|pipe"),
        (_as("="), "=|equals"),
        (_as("C"), "carbon"),
        (_as("H"), "hydrogen"),
        (_as("π"), "pi"),
        (_as(TIMES), "times"),
        (_as("\u02bb"), "okina"),
        (_accidental, "music"),
        (_formula, "tmath"),
        (_as("♭"), "flat|music flat"),
        (_as("♯"), "sharp"),
        (_as("°"), "degree|deg"),
        (_as("BC"), "bc"),
        (_as("BCE"), "bce"),
        (
            _date,
            "date|dts|birth date|birth-date|bda|birth date and age|birth date and age2|death date|death date and age",
        ),
        (_date, "dda|start date|end date|start date and age|film date|release date|birth year and age"),
        (_as_of, "as of|asof"),
        (_after("c."), "circa|c.|ca.|ca"),
        (_after("fl."), "floruit|fl.|fl"),
        (_after("r."), "reign|r."),
        (_convert, "convert|cvt|conv"),
        (_fraction, "frac|fraction|sfrac"),
        (_nihongo, "nihongo|nihongo3|nihongo foot"),
        (_phonemes, "ipac-en|ipac-de|ipac-fr|ipac-pl"),
        (_chinese, "zh|zh-full|korean"),
        (_value, "val|num"),
        (_money("US$"), "us$|usd"),
        (_money("£"), "gbp|£"),
        (_money("€"), "euro|eur|€"),
        (_money("₹"), "inr|indian rupee"),
        (_ruby, "ruby|ruby-ja|読み仮名|ルビ"),
        (_superscript, "sup"),
        (_subscript, "sub"),
        (_joined(""), "linktext|chem|chem2|simple chem|gaps"),
        (_joined(", "), "hlist|flatlist|cslist"),
        (_words(1, 2), "sortname|sort name|vessel|ship"),
    ]
    handlers = {name: handler for handler, names in groups for name in names.split("|")}
    ships = ("USS", "HMS", "SS", "RMS", "HMAS", "HMCS", "SMS", "USCGC", "MV")
    return handlers | {name.lower(): _ship(name) for name in ships}


_HANDLERS = _table()
