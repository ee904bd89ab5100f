"""What holds for every filter, modifier and stage of the package. They are found by walking it."""

import importlib
import inspect
import pickle
import pkgutil
import tempfile

import cloudpickle
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nemo_curator
from nemo_curator.stages.base import CompositeStage, ProcessingStage
from nemo_curator.stages.deduplication.fuzzy.bands import Signing
from nemo_curator.stages.deduplication.fuzzy.lsh.lsh import LSHActor
from nemo_curator.stages.deduplication.semantic import RankingStrategy
from nemo_curator.stages.deduplication.semantic.clustering import KMeans
from nemo_curator.stages.deduplication.semantic.embeddings import EmbeddingReader
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.download import ImageDownloadStage
from nemo_curator.stages.text.deduplication.cuts import Cuts, PartCutter
from nemo_curator.stages.text.deduplication.rewriting import Rewriting
from nemo_curator.stages.text.download import DocumentDownloader, DocumentIterator, URLGenerator
from nemo_curator.stages.text.filters import DocumentFilter, WordCountFilter
from nemo_curator.stages.text.io.reader import JsonlReaderStage
from nemo_curator.stages.text.io.reader.huggingface import DatasetSource
from nemo_curator.stages.text.modifiers import DocumentModifier
from nemo_curator.tasks.text_column import TextColumn
from tests.tiny_models import fasttext_model, histograms, sentencepiece_model, tokenizer_folder


class _Urls(URLGenerator):
    def generate_urls(self):
        return []


class _Downloader(DocumentDownloader):
    def _get_output_filename(self, url):
        return "x"


class _Iterator(DocumentIterator):
    def iterate(self, file_path):
        yield {"text": "a"}

    def output_columns(self):
        return ["text"]


_PARTS = {"url_generator": _Urls(), "downloader": _Downloader(tempfile.mkdtemp()), "iterator": _Iterator()}
_EMBEDDED = {"id_field": "id", "embedding_field": "embeddings"}
PARAMETERS = {
    "AddId": {"id_field": "id"},
    "BandStage": {"signing": Signing()},
    "BucketSource": {"path": "folder"},
    "BucketWriter": {"path": "folder", "key_field": "id", "num_buckets": 4},
    "BucketsToEdgesStage": {"output_path": "folder"},
    "CollectParts": {"num_parts": 4},
    "CandidateTexts": {"labels_path": "labels.parquet"},
    "CommonCrawlDownloadExtractStage": {
        "start_snapshot": "2024-10",
        "end_snapshot": "2024-18",
        "download_dir": tempfile.mkdtemp(),
        "html_extraction": "resiliparse",
    },
    "ConnectedComponentsStage": {"output_path": "folder"},
    "CutBands": {"actor": LSHActor(2, 2)},
    "AssignClustersStage": {"reader": EmbeddingReader("id", "embeddings"), "output_path": "folder"},
    "ClusterWiseFilePartitioningStage": {"input_path": "folder"},
    "CountRecords": {"reader": JsonlReaderStage()},
    "DeliverBands": {"path": "folder", "removed_path": "removed.parquet"},
    "DeliverDocuments": {"path": "folder", "removed_path": "removed.parquet"},
    "CollectBuckets": {"num_buckets": 4, "num_parts": 2, "id_field": "id"},
    "DocumentDownloadExtractStage": _PARTS,
    "DocumentDownloadStage": {"downloader": _PARTS["downloader"]},
    "DocumentIterateExtractStage": {"iterator": _PARTS["iterator"]},
    "DocumentSplitter": {"separator": "\n\n"},
    "EmbeddingModelStage": {"model_identifier": "model"},
    "ExactDuplicateIdentification": {"text_field": "text", "output_path": "folder"},
    "FastTextLabelModifier": {"label": "__label__hq"},
    "FastTextLangId": {"model_path": "lid.176.ftz"},
    "FastTextQualityFilter": lambda: {"model_path": fasttext_model()},
    "FilePartitioningStage": {"file_paths": "folder"},
    "FitClustersStage": {
        "reader": EmbeddingReader("id", "embeddings"),
        "kmeans": KMeans(4),
        "centroids_path": "centroids.npy",
    },
    "Filter": {"filter_fn": WordCountFilter(), "filter_field": "n"},
    "FirstDocuments": {"source": FilePartitioningStage("folder"), "reader": JsonlReaderStage(), "limit": 5},
    "ForbiddenSubstringsFilter": {"substrings": ["a b", "é"]},
    "FunctionStage": None,
    "GeneralCommentToCodeFilter": {"language": "text/x-c++"},
    "GroupStage": {"path": "folder", "earlier": []},
    "HistogramFilter": lambda: {"cache_dir": histograms()},
    "ImageDownloadStage": {"input_path": "urls.parquet", "output_dir": "folder"},
    "ImageDuplicatesRemovalStage": {"removal_parquets_dir": "folder"},
    "HuggingFacePartitioningStage": {"source": DatasetSource("folder")},
    "HuggingFaceReader": {"path": "folder"},
    "HuggingFaceWriter": {"path": "folder"},
    "IndexedCandidates": {"labels_path": "labels.parquet", "column": "_signature"},
    "HashDocuments": {"reader": JsonlReaderStage(["text", "id"]), "text_field": "text", "id_field": "id"},
    "IdentifyExactDuplicates": {"output_path": "folder", "id_field": "id", "buckets_path": "folder/buckets"},
    "ImageShardStage": lambda: vars(ImageDownloadStage("urls.parquet", "folder").decompose()[1]),
    "ImageWriterStage": {"output_dir": "folder"},
    "JsonlReader": {"file_paths": "folder"},
    "JsonlWriter": {"path": "folder"},
    "LSHStage": {"num_bands": 10, "minhashes_per_band": 2},
    "KMeansReadFitWriteStage": {**_EMBEDDED, "output_path": "folder", "filetype": "parquet", "n_clusters": 4},
    "KMeansStage": {**_EMBEDDED, "n_clusters": 4, "input_path": "in", "output_path": "out"},
    "LineFilter": {"filter_obj": WordCountFilter()},
    "LineRemover": {"patterns": ["a b", ""]},
    "MarkRejected": {"filter_obj": WordCountFilter()},
    "MegatronTokenizerWriter": {"path": "folder", "model_identifier": "model"},
    "MinHashStage": {"output_path": "folder"},
    "Modify": {"modifier_fn": str.upper},
    "PartBuckets": {"path": "folder", "key_field": "id", "num_buckets": 4},
    "PairwiseCosineSimilarityStage": {**_EMBEDDED, "output_path": "out", "ranking_strategy": RankingStrategy(["id"])},
    "PairwiseStage": {**_EMBEDDED, "input_path": "in", "output_path": "out"},
    "ParquetReader": {"file_paths": "folder"},
    "ParquetWriter": {"path": "folder"},
    "PerExtensionFilter": {"lang": "Python", "extension": "py"},
    "ReadTables": {"columns": ["id"]},
    "RemoveFromFiles": {"path": "folder", "reader": JsonlReaderStage(), "ids": None},
    "Score": {"score_fn": len, "score_field": "n"},
    "RewriteFilesStage": {
        "path": "folder",
        "reader": JsonlReaderStage(),
        "rewriting": Rewriting("text", PartCutter(), Cuts()),
    },
    "ScoreFilter": {"filter_obj": WordCountFilter()},
    "ShuffleStage": {"shuffle_on": "id"},
    "SentenceTransformerEmbeddingModelStage": {"model_identifier": "model"},
    "SubstringFilter": {"substring": "a", "position": "any"},
    "TextDuplicatesRemovalStage": {"ids_to_remove_path": "folder"},
    "TokenCountFilter": lambda: {"hf_model_name": tokenizer_folder()},
    "TokenizerStage": {"model_identifier": "model"},
    "TokenizerFertilityFilter": lambda: {"path_to_tokenizer": sentencepiece_model()},
    "UrlShardsStage": {"input_path": "urls.parquet"},
    "URLGenerationStage": {"url_generator": _PARTS["url_generator"]},
    "WriteDuplicateIds": {"path": "folder", "group_field": "group", "id_field": "id"},
    "WritePart": {"path": "folder"},
    "WriteSharedBands": {"path": "folder", "iterations": [(0, 5)], "id_field": "id"},
    "VerifyStage": {
        "signing": Signing(),
        "groups_path": "members",
        "output_path": "folder",
        "removed_path": "removed",
    },
    "VLLMEmbeddingModelStage": {"model_identifier": "model"},
    "WithEmbedding": {"embedding_field": "embeddings"},
    "nemo_curator.stages.deduplication.semantic.identify_duplicates.IdentifyDuplicatesStage": {
        "output_path": "out",
        "eps": 0.1,
    },
    "WikipediaDownloadExtractStage": {"download_dir": tempfile.mkdtemp()},
}
"""What a class needs to be built, or a function that makes it, where its defaults do not suffice.

None: it is not built by users.
"""


def classes(base):
    for module in pkgutil.walk_packages(nemo_curator.__path__, "nemo_curator."):
        importlib.import_module(module.name)
    found, todo = [], [base]
    while todo:
        for cls in todo.pop().__subclasses__():
            todo.append(cls)
            if cls.__module__.startswith("nemo_curator.") and not inspect.isabstract(cls) and cls not in found:
                found.append(cls)
    public = [cls for cls in found if not cls.__name__.startswith("_") and PARAMETERS.get(cls.__name__, {}) is not None]
    return [pytest.param(cls, id=cls.__name__) for cls in sorted(public, key=lambda cls: cls.__name__)]


def build(cls):
    # two stages of the API share a name
    parameters = PARAMETERS.get(f"{cls.__module__}.{cls.__name__}", PARAMETERS.get(cls.__name__, {}))
    return cls(**(parameters() if callable(parameters) else parameters))


def column(texts, kind=None, chunks=1):
    array = pa.array(["before", *texts, "after"], kind or pa.large_string())[1:-1]
    return TextColumn(pa.chunked_array([array] if chunks == 1 else [array[:1], array[1:]]))


def plain(values):
    values = values.array if isinstance(values, TextColumn) else values
    values = values.to_pylist() if isinstance(values, pa.Array | pa.ChunkedArray) else list(values)
    return [value.item() if isinstance(value, np.generic) else value for value in values]


ODD = ["", " ", "a b\n\nc", "e\u0301 \u2028x", "â€™ &amp;", "語 語"]
TEXTS = st.lists(st.text() | st.sampled_from(ODD), max_size=5)


@pytest.mark.parametrize("cls", classes(DocumentFilter))
@settings(max_examples=40, deadline=None)
@given(texts=TEXTS)
def test_a_filter_scores_a_column_as_it_scores_each_text(cls, texts):
    one = build(cls)
    rows = [one.score_document(text) for text in texts]
    for made in (column(texts), column(texts, pa.string()), column(texts, chunks=2)):
        assert plain(one.score_texts(made)) == rows
    kept = [one.keep_document(score) for score in rows]
    assert plain(one.keep_scores(one.score_texts(column(texts)))) == kept


@pytest.mark.parametrize("cls", classes(DocumentFilter))
def test_a_filter_scores_null_like_the_empty_text_and_survives_the_way_to_a_worker(cls):
    one = build(cls)
    scores = plain(one.score_texts(column(["a b", None, ""])))
    assert scores[1] == scores[2]
    assert plain(pickle.loads(pickle.dumps(one)).score_texts(column(["a b", None, ""]))) == scores
    assert isinstance(one.name, str)


@pytest.mark.parametrize("cls", classes(DocumentModifier))
@settings(max_examples=40, deadline=None)
@given(texts=TEXTS)
def test_a_modifier_changes_a_column_as_it_changes_each_text(cls, texts):
    one = build(cls)
    rows = [one.modify_document(text) for text in texts]
    for made in (column(texts), column(texts, pa.string()), column(texts, chunks=2)):
        assert plain(one.modify_texts(made)) == rows


@pytest.mark.parametrize("cls", classes(DocumentModifier))
def test_a_modifier_leaves_null_and_its_input_alone(cls):
    one, texts = build(cls), column(["â€™", None, "a"])
    assert plain(one.modify_texts(texts))[1] is None
    assert texts.to_pylist() == ["â€™", None, "a"]
    assert plain(pickle.loads(pickle.dumps(one)).modify_texts(texts)) == plain(one.modify_texts(texts))


@pytest.mark.parametrize("cls", classes(ProcessingStage))
def test_a_stage_is_built_without_effects_copied_and_sent_to_a_worker(cls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stage = build(cls)
    assert list(tmp_path.iterdir()) == []
    assert stage.name
    sent = cloudpickle.loads(cloudpickle.dumps(stage))
    assert (sent.name, sent.resources) == (stage.name, stage.resources)
    if isinstance(stage, CompositeStage):
        assert stage.with_({}) is not stage
        assert all(isinstance(part, ProcessingStage) for part in stage.decompose_and_apply_with())
    else:
        assert stage.with_(name="other").name == "other"
        assert stage.name != "other"


@pytest.mark.parametrize("cls", [*classes(ProcessingStage), *classes(DocumentFilter), *classes(DocumentModifier)])
def test_everything_public_says_what_happens_to_the_data(cls):
    first = (cls.__doc__ or "").splitlines()
    assert first
    assert first[0].endswith(".")
    assert not first[0].startswith(cls.__name__ + "(")
