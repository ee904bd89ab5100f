import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.tiny_models import words_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as its client needs: what a model consists of, and the files."""

    def answer(self, body=True):
        path = self.path.partition("?")[0].strip("/")
        folder = self.server.folder
        if path.startswith("api/models/org/words/tree/") and path.count("/") == 5:
            files = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": file.name}
                for file in sorted(folder.iterdir())
            ]
            self.send(200, json.dumps(files).encode(), body)
        elif path.startswith("api/models/org/words") and "/tree/" not in path:
            names = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
            data = json.dumps({"id": "org/words", "modelId": "org/words", "sha": COMMIT, "siblings": names}).encode()
            self.send(200, data, body)
        elif path.startswith("org/words/resolve/") and (folder / path.rpartition("/")[2]).is_file():
            data = (folder / path.rpartition("/")[2]).read_bytes()
            self.server.asked.append((self.command, path.rpartition("/")[2]))
            self.send(200, data, body, {"ETag": f'"{hashlib.md5(data).hexdigest()}"', "X-Repo-Commit": COMMIT})
        else:
            self.send(404, b"", body, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})

    def send(self, status, data, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer(body=False)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path):
    """A hub on loopback with one model, and what a process needs to use it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.folder, server.asked = Path(shutil.copytree(words_folder(), tmp_path / "hub")), []
    (server.folder / "weights.bin").write_bytes(b"large")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()

    def run(code):
        variables = {
            "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }
        env = {**os.environ, **variables, "HF_HUB_OFFLINE": "0"}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.asked = server.asked
    yield run
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_is_brought_into_a_folder_without_what_is_ignored(hub, tmp_path):
    call = f"download_model_from_hf('org/words', {str(tmp_path / 'model')!r}, ignore_patterns='*.bin')"
    hub(f"from nemo_curator.utils.hf_download_utils import *; {call}")
    names = sorted(path.name for path in (tmp_path / "model").iterdir() if path.is_file())
    assert names == sorted(path.name for path in Path(words_folder()).iterdir())
    wanted = Path(words_folder(), "tokenizer.json").read_bytes()
    assert (tmp_path / "model" / "tokenizer.json").read_bytes() == wanted


def test_one_file_can_be_fetched_alone(hub, tmp_path):
    call = f"download_model_from_hf('org/words', {str(tmp_path / 'model')!r}, filename='weights.bin', revision='v1')"
    path = hub(f"from nemo_curator.utils.hf_download_utils import *; print({call})").strip()
    assert Path(path) == tmp_path / "model" / "weights.bin"
    assert Path(path).read_bytes() == b"large"


def test_a_tokenizer_is_fetched_once_on_a_machine_and_then_loaded_from_its_cache(hub):
    code = (
        "from nemo_curator.stages.text.models import TokenizerStage\n"
        "stage = TokenizerStage('org/words'); {}stage.setup()\n"
        "print(next(stage._encoder.ids(['w1 w2'])))"
    )
    assert hub(code.format("stage.setup_on_node(); ")) == "[1, 2]\n"
    before = len(hub.asked)
    assert before
    assert hub(code.format("")) == "[1, 2]\n"
    assert len(hub.asked) == before
