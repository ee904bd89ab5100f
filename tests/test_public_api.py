"""Documented names resolve where they are documented; names of the Dask era say what replaced them."""

import importlib

import pytest

NAMES = """
nemo_curator.backends.base BaseExecutor NodeInfo WorkerMetadata
nemo_curator.backends.experimental RayActorPoolExecutor RayDataExecutor
nemo_curator.backends.experimental.ray_actor_pool RayActorPoolExecutor
nemo_curator.backends.experimental.ray_data RayDataExecutor
nemo_curator.backends.experimental.utils RayStageSpecKeys
nemo_curator.backends.ray_actor_pool RayActorPoolExecutor
nemo_curator.backends.ray_data RayDataExecutor
nemo_curator.backends.utils RayStageSpecKeys get_available_cpu_gpu_resources
nemo_curator.backends.xenna XennaExecutor
nemo_curator.core.client RayClient SlurmRayClient
nemo_curator.core.constants DEFAULT_RAY_CLIENT_SERVER_PORT DEFAULT_RAY_DASHBOARD_HOST DEFAULT_RAY_DASHBOARD_PORT
nemo_curator.core.constants DEFAULT_RAY_METRICS_PORT DEFAULT_RAY_PORT DEFAULT_RAY_TEMP_DIR
nemo_curator.pipeline Pipeline
nemo_curator.pipeline.pipeline Pipeline
nemo_curator.pipeline.workflow WorkflowBase WorkflowRunResult
nemo_curator.stages.base CompositeStage ProcessingStage get_stage_class
nemo_curator.stages.core ProcessingStage
nemo_curator.stages.file_partitioning FilePartitioningStage
nemo_curator.stages.function_decorators processing_stage
nemo_curator.stages.function_definitions processing_stage
nemo_curator.stages.resources Resources
nemo_curator.stages.text.download DocumentDownloadExtractStage DocumentDownloader DocumentExtractor DocumentIterator
nemo_curator.stages.text.download URLGenerator
nemo_curator.stages.text.download.base DocumentDownloadExtractStage DocumentDownloader DocumentExtractor
nemo_curator.stages.text.download.base DocumentIterator URLGenerator
nemo_curator.stages.text.filters DocumentFilter Filter Score ScoreFilter WordCountFilter
nemo_curator.stages.text.filters BoilerPlateStringFilter BulletsFilter CommonEnglishWordsFilter EllipsisFilter
nemo_curator.stages.text.filters LengthFilter LongWordFilter MeanWordLengthFilter NonAlphaNumericFilter NumbersFilter
nemo_curator.stages.text.filters ParenthesesFilter PornographicUrlsFilter PunctuationFilter RepeatedLinesByCharFilter
nemo_curator.stages.text.filters RepeatedLinesFilter RepeatedParagraphsByCharFilter RepeatedParagraphsFilter
nemo_curator.stages.text.filters RepeatingDuplicateNGramsFilter RepeatingTopNGramsFilter SubstringFilter
nemo_curator.stages.text.filters SymbolsToWordsFilter UrlsFilter WhiteSpaceFilter WordsWithoutAlphabetsFilter
nemo_curator.stages.text.filters.doc_filter DocumentFilter
nemo_curator.stages.text.filters.heuristic BoilerPlateStringFilter BulletsFilter CommonEnglishWordsFilter
nemo_curator.stages.text.filters.heuristic EllipsisFilter LongWordFilter MeanWordLengthFilter NonAlphaNumericFilter
nemo_curator.stages.text.filters.heuristic NumbersFilter ParenthesesFilter PornographicUrlsFilter PunctuationFilter
nemo_curator.stages.text.filters.heuristic RepeatedLinesByCharFilter RepeatedLinesFilter
nemo_curator.stages.text.filters.heuristic RepeatedParagraphsByCharFilter RepeatedParagraphsFilter
nemo_curator.stages.text.filters.heuristic RepeatingDuplicateNGramsFilter RepeatingTopNGramsFilter SubstringFilter
nemo_curator.stages.text.filters.heuristic SymbolsToWordsFilter UrlsFilter WhiteSpaceFilter WordCountFilter
nemo_curator.stages.text.filters.heuristic WordsWithoutAlphabetsFilter
nemo_curator.stages.text.filters.heuristic.repetition RepeatedLinesByCharFilter RepeatedLinesFilter
nemo_curator.stages.text.filters.heuristic.repetition RepeatedParagraphsByCharFilter RepeatedParagraphsFilter
nemo_curator.stages.text.filters.heuristic.repetition RepeatingDuplicateNGramsFilter RepeatingTopNGramsFilter
nemo_curator.stages.text.filters.heuristic.repetition.repetition RepeatedLinesByCharFilter RepeatedLinesFilter
nemo_curator.stages.text.filters.heuristic.repetition.repetition RepeatedParagraphsByCharFilter
nemo_curator.stages.text.filters.heuristic.repetition.repetition RepeatedParagraphsFilter
nemo_curator.stages.text.filters.heuristic.repetition.repetition RepeatingDuplicateNGramsFilter
nemo_curator.stages.text.filters.heuristic.repetition.repetition RepeatingTopNGramsFilter
nemo_curator.stages.text.filters.heuristic.string BoilerPlateStringFilter BulletsFilter CommonEnglishWordsFilter
nemo_curator.stages.text.filters.heuristic.string EllipsisFilter LongWordFilter MeanWordLengthFilter
nemo_curator.stages.text.filters.heuristic.string NonAlphaNumericFilter NumbersFilter ParenthesesFilter
nemo_curator.stages.text.filters.heuristic.string PornographicUrlsFilter PunctuationFilter SubstringFilter
nemo_curator.stages.text.filters.heuristic.string SymbolsToWordsFilter UrlsFilter WhiteSpaceFilter WordCountFilter
nemo_curator.stages.text.filters.heuristic.string WordsWithoutAlphabetsFilter
nemo_curator.stages.text.filters.heuristic_filter BoilerPlateStringFilter BulletsFilter CommonEnglishWordsFilter
nemo_curator.stages.text.filters.heuristic_filter EllipsisFilter LongWordFilter MeanWordLengthFilter
nemo_curator.stages.text.filters.heuristic_filter NonAlphaNumericFilter NumbersFilter ParenthesesFilter
nemo_curator.stages.text.filters.heuristic_filter PornographicUrlsFilter PunctuationFilter RepeatedLinesByCharFilter
nemo_curator.stages.text.filters.heuristic_filter RepeatedLinesFilter RepeatedParagraphsByCharFilter
nemo_curator.stages.text.filters.heuristic_filter RepeatedParagraphsFilter RepeatingDuplicateNGramsFilter
nemo_curator.stages.text.filters.heuristic_filter RepeatingTopNGramsFilter SubstringFilter SymbolsToWordsFilter
nemo_curator.stages.text.filters.heuristic_filter UrlsFilter WhiteSpaceFilter WordCountFilter
nemo_curator.stages.text.filters.heuristic_filter WordsWithoutAlphabetsFilter
nemo_curator.stages.text.io JsonlReader ParquetReader ParquetWriter
nemo_curator.stages.text.io.reader JsonlReader ParquetReader
nemo_curator.stages.text.io.reader.jsonl JsonlReader
nemo_curator.stages.text.io.reader.parquet ParquetReader
nemo_curator.stages.text.io.writer JsonlWriter ParquetWriter
nemo_curator.stages.text.io.writer.jsonl JsonlWriter
nemo_curator.stages.text.io.writer.parquet ParquetWriter
nemo_curator.stages.text.io.writer.utils get_deterministic_hash
nemo_curator.stages.text.modifiers DocumentModifier Modify UnicodeReformatter
nemo_curator.stages.text.modifiers.doc_modifier DocumentModifier
nemo_curator.stages.text.modifiers.unicode UnicodeReformatter
nemo_curator.stages.text.modifiers.unicode_reformatter UnicodeReformatter
nemo_curator.stages.text.modules AddId Filter Modify Score ScoreFilter
nemo_curator.stages.text.modules.add_id AddId
nemo_curator.stages.text.modules.modifier Modify
nemo_curator.stages.text.modules.score_filter Filter ScoreFilter
nemo_curator.tasks DocumentBatch EmptyTask FailedTask FileGroupTask ImageBatch ImageObject NoneTask Task _EmptyTask
nemo_curator.tasks.document DocumentBatch
nemo_curator.tasks.sentinels EmptyTask
nemo_curator.tasks.utils TaskPerfUtils
nemo_curator.utils.client_utils is_remote_url
nemo_curator.utils.file_utils create_or_overwrite_dir get_all_file_paths_under get_fs
nemo_curator.utils.hash_utils get_deterministic_hash
nemo_curator.utils.performance_utils StagePerfStats StageTimer
nemo_curator.utils.split_large_files split_jsonl_file_by_size
"""

DASK_ERA = """
nemo_curator ClusteringModel SemanticClusterLevelDedup
nemo_curator.datasets DocumentDataset ImageTextPairDataset
nemo_curator.filters WordCountFilter
nemo_curator.utils.distributed_utils get_client
"""


def pairs(table):
    return [(module, name) for module, *names in map(str.split, table.strip().splitlines()) for name in names]


@pytest.mark.parametrize(("module", "name"), pairs(NAMES))
def test_a_documented_name_resolves(module, name):
    assert getattr(importlib.import_module(module), name) is not None


@pytest.mark.parametrize(("module", "name"), pairs(DASK_ERA))
def test_a_name_of_the_dask_era_says_what_replaced_it(module, name):
    with pytest.raises(ImportError, match=f"{name} belongs to the Dask-based releases; use nemo_curator"):
        exec(f"from {module} import {name}")
