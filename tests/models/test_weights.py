"""Weights are found, or fetched whole; what cannot be had is one clear error."""

import io
import multiprocessing
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from nemo_curator.errors import InputError
from nemo_curator.models.aesthetics import AestheticScorer
from nemo_curator.models.clip import CLIP_ID, CLIPAestheticScorer, CLIPImageEmbeddings
from nemo_curator.models.nsfw import NSFWScorer
from nemo_curator.models.weights import HubModel, ZippedModel
from tests.tiny_models import image_models_folder

ARCHIVED = "clip_autokeras_binary_nsfw.pth"


@pytest.fixture
def site(tmp_path):
    """A folder and the URL under which it is served."""
    (folder := tmp_path / "site").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def archive(members):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return made.getvalue()


def test_a_complete_folder_is_used_without_asking_anybody(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for kind in (CLIPImageEmbeddings, AestheticScorer, NSFWScorer, CLIPAestheticScorer):
        kind.download_weights_on_node(image_models_folder())


def test_the_file_in_an_archive_is_fetched_once_and_nothing_else_stays(site, tmp_path):
    folder, url = site
    (folder / "a.zip").write_bytes(archive({f"inner/{ARCHIVED}": b"weights", "readme.txt": b"x"}))
    model = ZippedModel("laion/nsfw", f"{url}/a.zip", ARCHIVED)
    path = model.fetch(str(tmp_path / "models"))
    (folder / "a.zip").unlink()
    assert model.fetch(str(tmp_path / "models")) == model.find(str(tmp_path / "models")) == path
    assert path == tmp_path / "models" / "laion" / "nsfw" / ARCHIVED
    assert [one.read_bytes() for one in path.parent.iterdir()] == [b"weights"]


def test_several_processes_fetch_at_the_same_time(site, tmp_path):
    folder, url = site
    (folder / "a.zip").write_bytes(archive({ARCHIVED: b"w" * 2_000_000}))
    model = ZippedModel("laion/nsfw", f"{url}/a.zip", ARCHIVED)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        paths = pool.map(model.fetch, [str(tmp_path / "models")] * 6, 1)
    assert {path.stat().st_size for path in paths} == {2_000_000}
    assert len(list(paths[0].parent.iterdir())) == 1


@pytest.mark.parametrize("data", [b"<html>sorry</html>", archive({"other.pth": b"w"}), None])
def test_an_archive_without_the_file_leaves_nothing_and_says_what_to_put_where(site, tmp_path, data):
    folder, url = site
    if data is not None:
        (folder / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match=rf"models/laion/nsfw lacks {ARCHIVED}: put the files of .*a.zip there; fetch"):
        ZippedModel("laion/nsfw", f"{url}/a.zip", ARCHIVED).fetch(str(tmp_path / "models"))
    assert [path for path in (tmp_path / "models").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("model_dir", ["models", None])
def test_without_a_network_the_error_names_the_folder_and_what_to_put_there(tmp_path, monkeypatch, model_dir):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    folder = model_dir and str(tmp_path / model_dir)
    wanted = f"{tmp_path}/{'models/' + CLIP_ID if model_dir else 'hub'} lacks config.json, p.*processor_config.json, "
    with pytest.raises(InputError, match=wanted + f".*put the files of {CLIP_ID} at revision 32bd642 .*fetching"):
        CLIPImageEmbeddings.download_weights_on_node(folder)
    with pytest.raises(InputError, match=wanted):
        CLIPImageEmbeddings(folder).setup()


def test_without_a_folder_a_model_is_taken_from_the_cache_of_the_hub(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    place = tmp_path / "models--mine--tiny" / "snapshots" / ("a" * 40)
    place.mkdir(parents=True)
    (refs := place.parents[1] / "refs").mkdir()
    (refs / "main").write_text("a" * 40)
    (place / "model.safetensors").write_bytes(b"w")
    model = HubModel("mine/tiny", ("model.safetensors",), "1e77fa0")
    assert model.fetch(None) == model.find(None) == place


def test_the_folder_of_the_name_comes_before_files_that_lie_above_it(tmp_path):
    model = HubModel("mine/tiny", ("model.safetensors",))
    (tmp_path / "model.safetensors").write_bytes(b"of another model")
    assert model.find(str(tmp_path)) == tmp_path
    (tmp_path / "mine" / "tiny").mkdir(parents=True)
    (tmp_path / "mine" / "tiny" / "model.safetensors").write_bytes(b"w")
    assert model.find(str(tmp_path)) == tmp_path / "mine" / "tiny"


def test_the_nsfw_weights_go_to_the_users_cache_without_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    place = tmp_path / "nemo_curator" / "models" / "laion" / "x"
    with pytest.raises(InputError, match=str(place)):
        ZippedModel("laion/x", "file:///none", ARCHIVED).find(None)
    place.mkdir(parents=True)
    (place / ARCHIVED).write_bytes(b"w")
    assert Path(ZippedModel("laion/x", "file:///none", ARCHIVED).fetch(None)) == place / ARCHIVED
