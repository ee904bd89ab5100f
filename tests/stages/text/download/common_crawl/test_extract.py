"""Records of a crawl become documents, or are dropped under a name."""

import gzip
import logging
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_curator.backends.local import LocalExecutor
from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.text.download import DocumentIterator
from nemo_curator.stages.text.download.base import DocumentIterateExtractStage
from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor
from nemo_curator.stages.text.download.html_extractors import (
    ALGORITHMS,
    HTMLExtractorAlgorithm,
    JusTextExtractor,
    ResiliparseExtractor,
)
from nemo_curator.tasks import FileGroupTask

ROOT = Path(__file__).parents[5]
CRAWL = ROOT / "../shared/data/text/warc/CC-MAIN-2020-34_clean_subset.warc.gz"
ENGLISH = (
    "The light of the morning was in the room, and it was the light of a day that is remembered for a long time. "
    "It was to be the first of many, and the house was full of the noise of people that came in and went to work."
)
WORLD = {
    "CHINESET": "人人生而自由，在尊嚴和權利上一律平等。他們賦有理性和良心，並應以兄弟關係的精神相對待。",
    "CHINESE": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "JAPANESE": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "KOREAN": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 이성과 양심을 부여받았다.",
    "THAI": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม",
    "AMHARIC": (
        "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው። የተፈጥሮ ማስተዋልና ሕሊና ስላለው አንዱ ሌላውን በወንድማማችነት መንፈስ መመልከት ይገባዋል።"
    ),
    "BURMESE": ("လူတိုင်းသည် တူညီ လွတ်လပ်သော ဂုဏ်သိက္ခာဖြင့် လည်းကောင်း၊ တူညီလွတ်လပ်သော အခွင့်အရေးများဖြင့် လည်းကောင်း၊ မွေးဖွားလာသူများ ဖြစ်သည်။"),
    "KHMER": ("មនុស្សទាំងអស់កើតមកមានសេរីភាព និងភាពស្មើៗគ្នាក្នុងសិទ្ធិ និងសេចក្ដីថ្លៃថ្នូរ។ មនុស្សគ្រប់រូបសុទ្ធតែមានវិចារណញ្ញាណ។"),
    "MONGOLIAN": (
        "Хүн бүр төрж мэндлэхэд эрх чөлөөтэй, адилхан нэр төртэй, ижил эрхтэй байдаг. Оюун ухаан нандин "
        "чанар заяасан хүн гэгч өөр хоорондоо ахан дүүгийн үзэл санаагаар харьцах учиртай."
    ),
    "PASHTO": (
        "د بشر ټول افراد آزاد نړۍ ته راځي او د حيثيت او حقوقو له پلوه سره برابر دي. ټول د عقل او وجدان "
        "خاوندان دي او يو له بل سره د ورورۍ په روحيې سره بايد چلند کړي."
    ),
    "PUNJABI": ("ਸਾਰਾ ਮਨੁੱਖੀ ਪਰਿਵਾਰ ਆਪਣੀ ਮਹਿਮਾ, ਸ਼ਾਨ ਅਤੇ ਹੱਕਾਂ ਦੇ ਪੱਖੋਂ ਜਨਮ ਤੋਂ ਹੀ ਆਜ਼ਾਦ ਹੈ ਅਤੇ ਸੁਤੇ ਸਿੱਧ ਸਾਰੇ ਲੋਕ ਬਰਾਬਰ ਹਨ।"),
}


def page(*paragraphs, head=""):
    return f"<html><head>{head}</head><body><main>{''.join(f'<p>{one}</p>' for one in paragraphs)}</main></body></html>"


def record(content, content_type=None):
    made = {"url": "https://example.com/", "warc_id": "1-2", "source_id": "a.warc.gz"}
    content = content.encode() if isinstance(content, str) else content
    return {**made, "content": content, "content_type": content_type} if content_type else {**made, "content": content}


def test_a_page_becomes_a_document():
    document = CommonCrawlHTMLExtractor("resiliparse").extract(record(page(ENGLISH, ENGLISH)))
    told = {"url": "https://example.com/", "warc_id": "1-2", "source_id": "a.warc.gz"}
    assert document == {**told, "language": "ENGLISH", "text": f"{ENGLISH}\n\n{ENGLISH}"}
    assert list(document) == CommonCrawlHTMLExtractor("resiliparse").output_columns()


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@pytest.mark.parametrize("language", sorted(WORLD))
def test_no_language_is_dropped_for_want_of_stop_words(algorithm, language):
    document = CommonCrawlHTMLExtractor(algorithm).extract(record(page(f"{WORLD[language]} " * 3)))
    assert document["language"] == language
    assert "".join(document["text"].split()) == "".join(WORLD[language].split()) * 3


@pytest.mark.parametrize(
    ("content", "content_type", "reason"),
    [
        (page(ENGLISH), "application/pdf", "not_html"),
        ("%PDF-1.4", "text/html", "not_html"),
        (f'{{"text": "{ENGLISH}"}}', None, "not_html"),
        (ENGLISH, None, "not_html"),
        (b"<html>" + bytes(range(256)) * 40, "text/html", "undecodable"),
        ("<div>" * 100_000 + ENGLISH + "</div>" * 100_000, None, "too_deep"),
        (page("12 34"), None, "no_language"),
        (page("Anmelden Warenkorb Impressum Datenschutz Versandkosten Startseite Suchergebnisse"), None, "no_text"),
    ],
)
def test_a_record_without_a_document_says_why(content, content_type, reason):
    extractor = CommonCrawlHTMLExtractor("resiliparse")
    assert extractor.extract(record(content, content_type)) is None
    assert extractor.drop_reason == reason


def test_languages_that_are_not_wanted_are_dropped_where_lists_are_given():
    extractor = CommonCrawlHTMLExtractor("resiliparse", stop_lists={"chinese": ["的"], "GERMAN": {"der"}})
    assert extractor.extract(record(page(WORLD["CHINESET"])))["language"] == "CHINESET"
    assert extractor.extract(record(page(ENGLISH))) is None
    assert extractor.drop_reason == "language_not_wanted"


def test_the_words_that_are_given_count():
    extractor = CommonCrawlHTMLExtractor("resiliparse", {"required_stopword_density": 0.2}, {"ENGLISH": ["The", "Of"]})
    assert extractor.extract(record(page(ENGLISH, "Grey stones lie here, and they are cold.")))["text"] == ENGLISH


def test_without_an_algorithm_it_is_justext_with_a_warning(caplog):
    with caplog.at_level(logging.WARNING):
        extractor = CommonCrawlHTMLExtractor(algorithm_kwargs={"length_low": 10})
    assert extractor.algorithm == JusTextExtractor(length_low=10)
    assert "jusText" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("justtext",), ValueError),
        ((JusTextExtractor(), {"length_low": 10}), ValueError),
        ((JusTextExtractor,), TypeError),
        (("justext", {"length_lo": 10}), TypeError),
    ],
)
def test_an_algorithm_that_is_none_is_an_error_at_once(arguments, error):
    with pytest.raises(error, match=r"algorithm|length_lo"):
        CommonCrawlHTMLExtractor(*arguments)


def test_an_algorithm_of_a_user_gets_the_page_its_words_and_its_language():
    class Title(HTMLExtractorAlgorithm):
        def extract_text(self, html, stop_words, language):
            return [re.search("<title>(.*?)</title>", html)[1], language, str("the" in stop_words)]

    made = page(ENGLISH, head="<title>A town</title>")
    assert CommonCrawlHTMLExtractor(Title()).extract(record(made))["text"] == "A town\n\nENGLISH\n\nTrue"


def test_an_extractor_that_has_worked_can_be_sent_to_a_worker():
    extractor = CommonCrawlHTMLExtractor(ResiliparseExtractor())
    expected = extractor.extract(record(page(ENGLISH)))
    assert pickle.loads(pickle.dumps(extractor)).extract(record(page(ENGLISH))) == expected


@pytest.mark.parametrize(
    "hostile",
    [
        "<p>" + ENGLISH + "<b>a</b><i></i>" * 330_000,
        "<p>" + ENGLISH + "<p " + " ".join(f'a{at}="1"' for at in range(500_000)) + ">",
        "<p>" + ENGLISH + "".join(f'<p><font id="{at}">x' for at in range(50_000)),
        "<p>" + ENGLISH + "<!--" * 200_000,
        "<p>" + ENGLISH + "<script" * 200_000,
        "<p>" + ENGLISH + "<select>" + "<option>x" * 200_000,
    ],
    ids=["five megabytes of tags", "attributes", "open elements", "comments", "scripts", "choices"],
)
def test_hostile_pages_end_within_seconds(hostile):
    code = (
        "import sys; from nemo_curator.stages.text.download.common_crawl.extract import CommonCrawlHTMLExtractor as E\n"
        "extractor = E('auto')\n"
        "content = sys.stdin.buffer.read()\n"
        "extractor.extract({'url': '', 'warc_id': '', 'source_id': '', 'content': content})"
    )
    subprocess.run([sys.executable, "-c", code], input=hostile.encode(), timeout=60, check=True, cwd=ROOT)


class Responses(DocumentIterator):
    """The responses of a WARC file; an empty one raises when it is extracted."""

    def iterate(self, file_path):
        for chunk in re.split(rb"(?=WARC/1\.0\r\n)", gzip.decompress(Path(file_path).read_bytes())):
            if b"WARC-Type: response" in chunk:
                head, http, body = chunk.split(b"\r\n\r\n", 2)
                said = re.search(rb"(?im)^content-type:\s*(.+?)\r?$", http)
                url = re.search(rb"WARC-Target-URI: (\S+)", head)[1].decode()
                yield {**record(body[:-4], said and said[1].decode()), "url": url}
        yield {**record(b"%PDF-"), "url": "a PDF"}
        yield {**record(b""), "url": "damaged", "content": None}

    def output_columns(self):
        return ["url", "warc_id", "source_id", "content", "content_type"]


@pytest.mark.skipif(not CRAWL.exists(), reason="needs the crawl in ../shared/data/text/warc")
def test_a_crawl_becomes_documents_and_every_record_is_accounted_for():
    stage = DocumentIterateExtractStage(Responses(), CommonCrawlHTMLExtractor("resiliparse"))
    pipeline = Pipeline("crawl", stages=[stage])
    task = FileGroupTask(dataset_name="crawl", data=[str(CRAWL)])
    batches = pipeline.run(LocalExecutor(num_workers=0), initial_tasks=[task], max_failed_fraction=0.2)
    rows = [row for batch in batches for row in batch.to_pandas().to_dict("records")]
    found = {row["url"].split("/")[2]: (row["language"], row["text"]) for row in rows}
    assert {host: language for host, (language, _) in found.items()} == {
        "01spb.ru": "RUSSIAN",
        "06.live-radsport.ch": "GERMAN",
        "0615235.com": "CHINESE",
        "0760.jxtdw.com": "CHINESE",
        "0900-hovenier.nl": "DUTCH",
    }
    assert "Стратегия пожарной безопасности" in found["01spb.ru"][1]
    assert "中山英才网热线" in found["0760.jxtdw.com"][1]
    assert "\ufffd" not in "".join(text for _, text in found.values())
    count = pipeline.last_run.stages[-1]
    assert (count.rows_in, count.rows_out, count.dropped, count.rows_failed) == (8, 6, {"not_html": 1}, 1)
