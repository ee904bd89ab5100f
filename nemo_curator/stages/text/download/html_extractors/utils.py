"""Stop words: the commonest words of a language, by which running text is told from menus."""

from __future__ import annotations

from functools import lru_cache

from nemo_curator.errors import need

_RENAMED = {
    "HAITIAN": "HAITIAN_CREOLE",
    "NORWEGIAN_BOKMAL": "NORWEGIAN",
    "NORWEGIAN_NYNORSK": "NORWEGIAN_N",
    "WARAY_WARAY": "WARAY_PHILIPPINES",
}
"""Names of jusText, and what CLD2 calls those languages."""
_OWN = {
    "THAI": """
        ที่ และ ใน เป็น ของ มี ได้ ให้ ว่า การ จะ ไม่ ไป มา กับ จาก โดย แต่ หรือ ก็ นี้ นั้น ซึ่ง อยู่ แล้ว
        ต้อง คือ เพื่อ ความ กัน อย่าง เมื่อ ถ้า ยัง ด้วย ทำ เขา เรา ผม คุณ มัน อีก ถึง เพราะ ตาม ทั้ง ขึ้น ลง
        เข้า ออก
    """,
    "CHINESE": """
        的 了 是 在 和 有 不 这 這 那 我 你 他 她 它 我们 我們 你们 你們 他们 他們 就 也 都 而 及 与 與 或 被
        把 对 對 从 從 到 以 于 於 为 為 之 但 但是 因为 因為 所以 如果 没有 沒有 一个 一個 这个 這個 可以 会
        會 要 还 還 很 上 下 中 着 著 给 給 让 讓 向 由 等 将 將
    """,
    "JAPANESE": """
        の に は を た が で て と し れ さ ある いる も する から な こと として い や れる など なっ ない
        この ため その あっ よう また もの という あり まで られ なる へ か だ これ によって により おり より
        による ず なり られる において なかっ なく しかし について だっ です ます それ
    """,
}


def get_stop_list_dict(languages: list[str] | None = None) -> dict[str, frozenset[str]]:
    """Return the stop words of languages, by their upper-case names as CLD2 has them; without names, of all known.

    A language of which no list is known is left out.
    """
    known = _all()
    return dict(known) if languages is None else {name: known[name] for name in languages if name in known}


@lru_cache(maxsize=1)
def _all() -> dict[str, frozenset[str]]:
    justext = need("justext", extra="text")
    # the list of Latin is one of abbreviations and names
    names = sorted(justext.get_stoplists() - {"Latin"})
    lists = {_RENAMED.get(name.upper(), name.upper()): frozenset(justext.get_stoplist(name)) for name in names}
    return {**lists, **{name: frozenset(words.split()) for name, words in _OWN.items()}}
