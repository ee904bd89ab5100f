"""The page in a real browser, where there is one."""

import html
import json
import re
import subprocess
from pathlib import Path

import pytest

from nemo_curator.report.compare_page import render_comparison
from nemo_curator.report.page import render

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--dump-dom"]
FRAME = """<!doctype html><html><body style="margin: 0"><iframe style="border: 0; width: {width}px; height: 800px"
srcdoc="{page}"></iframe><output></output><script>
document.querySelector("iframe").onload = event => {{
  const inside = event.target.contentWindow, root = inside.document.documentElement;
  for (const one of root.querySelectorAll("details")) one.open = true;
  const found = {{wide: root.scrollWidth, inner: inside.innerWidth, loaded: performance.now()}};
  document.querySelector("output").textContent = JSON.stringify(found);
}};
</script></body></html>"""
"""A browser window is 500 pixels wide at least; a frame is as wide as it is told to be."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium"),
]


def opened(page, folder):
    """What the browser makes of a page, and what it says on its console."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    place = [f"--user-data-dir={folder}/browser", "--window-size=1400,900", (folder / "page.html").as_uri()]
    done = subprocess.run([CHROMIUM, *FLAGS, *place], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)


def measured(page, width, folder):
    """How wide a page is with everything opened, and how long it took to load."""
    shown, said = opened(FRAME.format(width=width, page=html.escape(page)), folder)
    assert said == []
    return json.loads(re.search(r"<output>(.*?)</output><script>", shown)[1])


@pytest.fixture(scope="module")
def pages(finished):
    record = json.loads(json.dumps(finished[1]))
    record["stages"][1]["stage"] = "a_stage_with_a_name_" * 6
    clusters = {"clusters": 1, "removed": 1, "measured": {"exact": 1}, "sizes": [[2, 2, 1]]}
    clusters["largest"] = [{"cluster_id": 10**15, "size": 2, "min_similarity": 1.0, "members": [{"text": "a" * 500}]}]
    workflow = {"workflow": "w", "runs": {"find": record, "removal": record}, "clusters": clusters}
    return {"run": render(record), "workflow": render(workflow), "comparison": render_comparison(record, record)}


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("kind", ["run", "workflow", "comparison"])
def test_a_page_fits_in_its_window_and_opens_at_once(pages, kind, width, tmp_path):
    found = measured(pages[kind], width, tmp_path)
    assert found["inner"] == width
    assert found["wide"] <= width
    assert found["loaded"] < 5000


def test_the_browser_has_nothing_to_complain_of(pages, tmp_path):
    shown, said = opened(pages["run"], tmp_path)
    assert said == []
    assert "Every row is accounted for" in shown


def test_no_script_runs_even_where_one_is_in_the_page(pages, tmp_path):
    page = pages["run"].replace("</body>", "<script>document.title = 'run'</script></body>")
    shown, said = opened(page, tmp_path)
    assert "<title>run</title>" not in shown
    assert len(said) == 1
    assert "Content Security Policy" in said[0]
