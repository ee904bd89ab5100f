"""Names of the Dask era (0.x), each with what replaces it. Importing one raises an ImportError that says so."""

from collections.abc import Callable
from typing import NoReturn

_READ = "nemo_curator.stages.text.io.reader.JsonlReader or ParquetReader as the first stage of a Pipeline"
_SEMANTIC = "nemo_curator.stages.deduplication.semantic.SemanticDeduplicationWorkflow"
_STAGES = "nemo_curator.stages.text"
_IMAGE = "nemo_curator.stages.image"

REPLACEMENTS = {
    "nemo_curator.ClusteringModel": _SEMANTIC,
    "nemo_curator.SemanticClusterLevelDedup": _SEMANTIC,
    "nemo_curator.SemDedup": _SEMANTIC,
    "nemo_curator.ExactDuplicates": "nemo_curator.stages.deduplication.exact.ExactDeduplicationWorkflow",
    "nemo_curator.FuzzyDuplicates": "nemo_curator.stages.deduplication.fuzzy.FuzzyDeduplicationWorkflow",
    "nemo_curator.FuzzyDuplicatesConfig": "nemo_curator.stages.deduplication.fuzzy.FuzzyDeduplicationWorkflow",
    "nemo_curator.AddId": f"{_STAGES}.modules.AddId",
    "nemo_curator.Filter": f"{_STAGES}.filters.Filter",
    "nemo_curator.Modify": f"{_STAGES}.modifiers.Modify",
    "nemo_curator.Score": f"{_STAGES}.filters.Score",
    "nemo_curator.ScoreFilter": f"{_STAGES}.filters.ScoreFilter",
    "nemo_curator.Sequential": "nemo_curator.pipeline.Pipeline",
    "nemo_curator.get_client": "nemo_curator.core.client.RayClient",
    "nemo_curator.datasets.DocumentDataset": _READ,
    "nemo_curator.datasets.ImageTextPairDataset": (
        "nemo_curator.stages.image.io.image_reader.ImageReaderStage as the first stage of a Pipeline"
    ),
    "nemo_curator.image.classifiers.AestheticClassifier": f"{_IMAGE}.filters.ImageAestheticFilterStage",
    "nemo_curator.image.classifiers.NsfwClassifier": f"{_IMAGE}.filters.ImageNSFWFilterStage",
    "nemo_curator.image.embedders.TimmImageEmbedder": f"{_IMAGE}.embedders.clip_embedder.ImageEmbeddingStage",
    "nemo_curator.utils.distributed_utils.get_client": "nemo_curator.core.client.RayClient",
}

_FAMILIES = {
    "nemo_curator.filters": f"{_STAGES}.filters",
    "nemo_curator.modifiers": f"{_STAGES}.modifiers",
    "nemo_curator.modules": f"{_STAGES}.modules",
    "nemo_curator.classifiers": f"{_STAGES}.classifiers",
}


def replaced(module: str) -> Callable[[str], NoReturn]:
    """Make the `__getattr__` of a module that existed in the Dask era."""

    def get(name: str) -> NoReturn:
        where = REPLACEMENTS.get(f"{module}.{name}")
        if where is None and module in _FAMILIES and not name.startswith("_"):
            where = f"{_FAMILIES[module]}.{name}"
        if where is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        raise ImportError(f"{module}.{name} belongs to the Dask-based releases; use {where}")

    return get
