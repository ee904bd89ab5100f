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
nemo_curator.backends.slurm_array SlurmArrayConfig SlurmArrayRetryPlan SlurmArrayRetrySubmission
nemo_curator.backends.slurm_array build_slurm_array_completion_manifest build_slurm_array_retry_submissions
nemo_curator.backends.slurm_array configure_slurm_array_source_filtering filter_slurm_array_source_tasks
nemo_curator.backends.slurm_array find_slurm_array_retries format_slurm_array_indices is_slurm_array_driver_process
nemo_curator.backends.slurm_array resolve_slurm_array_config slurm_array_shard_for_task
nemo_curator.backends.utils RayStageSpecKeys get_available_cpu_gpu_resources
nemo_curator.backends.xenna XennaExecutor
nemo_curator.config.run create_executor_from_yaml create_pipeline_from_yaml create_ray_client_from_yaml main
nemo_curator.core.client RayClient SlurmRayClient
nemo_curator.core.constants DEFAULT_RAY_CLIENT_SERVER_PORT DEFAULT_RAY_DASHBOARD_HOST DEFAULT_RAY_DASHBOARD_PORT
nemo_curator.core.constants DEFAULT_RAY_METRICS_PORT DEFAULT_RAY_PORT DEFAULT_RAY_TEMP_DIR
nemo_curator.pipeline Pipeline
nemo_curator.pipeline.pipeline Pipeline
nemo_curator.pipeline.workflow WorkflowBase WorkflowRunResult
nemo_curator.stages.base CompositeStage ProcessingStage get_stage_class
nemo_curator.stages.core ProcessingStage
nemo_curator.stages.deduplication.buckets BucketSource BucketWriter bucket_of buckets_for read_bucket
nemo_curator.stages.file_partitioning FilePartitioningStage
nemo_curator.stages.function_decorators processing_stage
nemo_curator.stages.function_definitions processing_stage
nemo_curator.stages.resources Resources
nemo_curator.stages.text.download DocumentDownloadExtractStage DocumentDownloader DocumentExtractor DocumentIterator
nemo_curator.stages.text.download URLGenerator
nemo_curator.stages.text.download.base DocumentDownloadExtractStage DocumentDownloader DocumentExtractor
nemo_curator.stages.text.download.base DocumentIterator URLGenerator
nemo_curator.stages.text.filters DocumentFilter Filter LineFilter MarkRejected Score ScoreFilter WordCountFilter
nemo_curator.stages.text.filters TokenCountFilter
nemo_curator.stages.text.filters AlphaFilter GeneralCommentToCodeFilter
nemo_curator.stages.text.filters HTMLBoilerplateFilter NumberOfLinesOfCodeFilter
nemo_curator.stages.text.filters PerExtensionFilter PythonCommentToCodeFilter
nemo_curator.stages.text.filters TokenizerFertilityFilter XMLHeaderFilter
nemo_curator.stages.text.filters.code AlphaFilter GeneralCommentToCodeFilter
nemo_curator.stages.text.filters.code HTMLBoilerplateFilter NumberOfLinesOfCodeFilter
nemo_curator.stages.text.filters.code PerExtensionFilter PythonCommentToCodeFilter
nemo_curator.stages.text.filters.code TokenizerFertilityFilter XMLHeaderFilter
nemo_curator.stages.text.filters.heuristic.code AlphaFilter GeneralCommentToCodeFilter
nemo_curator.stages.text.filters.heuristic.code HTMLBoilerplateFilter NumberOfLinesOfCodeFilter
nemo_curator.stages.text.filters.heuristic.code PerExtensionFilter PythonCommentToCodeFilter
nemo_curator.stages.text.filters.heuristic.code TokenizerFertilityFilter XMLHeaderFilter
nemo_curator.stages.text.filters.heuristic.code.code AlphaFilter GeneralCommentToCodeFilter
nemo_curator.stages.text.filters.heuristic.code.code HTMLBoilerplateFilter NumberOfLinesOfCodeFilter
nemo_curator.stages.text.filters.heuristic.code.code PerExtensionFilter PythonCommentToCodeFilter
nemo_curator.stages.text.filters.heuristic.code.code TokenizerFertilityFilter XMLHeaderFilter
nemo_curator.stages.text.filters.doc_filter DocumentFilter
nemo_curator.stages.text.filters FastTextLangId FastTextQualityFilter
nemo_curator.stages.text.filters.fasttext FastTextLangId FastTextQualityFilter
nemo_curator.stages.text.filters.fasttext.fasttext_filters FastTextLangId FastTextQualityFilter
nemo_curator.stages.text.filters.fasttext_filter FastTextLangId FastTextQualityFilter
nemo_curator.stages.text.filters.heuristic WordCountFilter
nemo_curator.stages.text.filters.heuristic_filter HistogramFilter TokenCountFilter WordCountFilter
nemo_curator.stages.text.filters HistogramFilter
nemo_curator.stages.text.filters.histogram HistogramFilter
nemo_curator.stages.text.filters.histogram.histogram HistogramFilter
nemo_curator.stages.text.filters.token TokenCountFilter
nemo_curator.stages.text.filters.token.token_count TokenCountFilter
nemo_curator.stages.text.io JsonlReader ParquetReader ParquetWriter
nemo_curator.stages.text.io.reader JsonlReader ParquetReader
nemo_curator.stages.text.io.reader.jsonl JsonlReader
nemo_curator.stages.text.io.reader.parquet ParquetReader
nemo_curator.stages.text.io.writer JsonlWriter MegatronTokenizerWriter ParquetWriter
nemo_curator.stages.text.io.writer.jsonl JsonlWriter
nemo_curator.stages.text.io.writer.megatron_tokenizer MegatronTokenizerWriter
nemo_curator.stages.text.io.writer.parquet ParquetWriter
nemo_curator.stages.text.io.writer.utils get_deterministic_hash
nemo_curator.stages.text.modifiers BoilerPlateStringModifier DocumentModifier FastTextLabelModifier LineRemover
nemo_curator.stages.text.modifiers MarkdownRemover Modify NewlineNormalizer QuotationRemover Slicer
nemo_curator.stages.text.modifiers UnicodeReformatter UrlRemover
nemo_curator.stages.text.modifiers.c4 BoilerPlateStringModifier
nemo_curator.stages.text.models.tokenizer TokenizerStage
nemo_curator.stages.text.modifiers.doc_modifier DocumentModifier
nemo_curator.stages.text.modifiers.fasttext FastTextLabelModifier
nemo_curator.stages.text.modifiers.fasttext.fasttext_label FastTextLabelModifier
nemo_curator.stages.text.modifiers.line_remover LineRemover
nemo_curator.stages.text.modifiers.markdown_remover MarkdownRemover
nemo_curator.stages.text.modifiers.modifier Modify
nemo_curator.stages.text.modifiers.newline_normalizer NewlineNormalizer
nemo_curator.stages.text.modifiers.quotation_remover QuotationRemover
nemo_curator.stages.text.modifiers.slicer Slicer
nemo_curator.stages.text.modifiers.string BoilerPlateStringModifier LineRemover MarkdownRemover NewlineNormalizer
nemo_curator.stages.text.modifiers.string QuotationRemover Slicer UrlRemover
nemo_curator.stages.text.modifiers.string.c4 BoilerPlateStringModifier
nemo_curator.stages.text.modifiers.string.line_remover LineRemover
nemo_curator.stages.text.modifiers.string.markdown_remover MarkdownRemover
nemo_curator.stages.text.modifiers.string.newline_normalizer NewlineNormalizer
nemo_curator.stages.text.modifiers.string.quotation_remover QuotationRemover
nemo_curator.stages.text.modifiers.string.slicer Slicer
nemo_curator.stages.text.modifiers.string.url_remover UrlRemover
nemo_curator.stages.text.modifiers.unicode UnicodeReformatter
nemo_curator.stages.text.modifiers.unicode.unicode_reformatter UnicodeReformatter
nemo_curator.stages.text.modifiers.unicode_reformatter UnicodeReformatter
nemo_curator.stages.text.modifiers.url_remover UrlRemover
nemo_curator.stages.text.modules AddId DocumentJoiner DocumentSplitter Filter Modify Score ScoreFilter
nemo_curator.stages.text.modules.add_id AddId
nemo_curator.stages.text.modules.joiner DocumentJoiner
nemo_curator.stages.text.modules.modifier Modify
nemo_curator.stages.text.modules.score_filter Filter ScoreFilter
nemo_curator.stages.text.modules.splitter DocumentSplitter
nemo_curator.stages.text.utils.constants policy_substrings
nemo_curator.tasks DocumentBatch EmptyTask FailedTask FileGroupTask ImageBatch ImageObject NoneTask Task _EmptyTask
nemo_curator.tasks.document DocumentBatch
nemo_curator.tasks.sentinels EmptyTask
nemo_curator.tasks.utils TaskPerfUtils
nemo_curator.utils.atomic_io fsync_directory write_json_atomically write_json_atomically_if_absent
nemo_curator.utils.client_utils is_remote_url
nemo_curator.utils.column_utils resolve_filename_column
nemo_curator.utils.file_utils create_or_overwrite_dir get_all_file_paths_under get_fs
nemo_curator.utils.grouping pairwise split_by_chunk_size split_into_n_chunks
nemo_curator.utils.hash_utils get_deterministic_hash
nemo_curator.utils.hf_download_utils download_model_from_hf
nemo_curator.utils.merge_file_prefixes merge_file_prefixes
nemo_curator.utils.performance_utils StagePerfStats StageTimer
nemo_curator.utils.retries is_transient retrying
nemo_curator.utils.retry_manifest CompletionManifest CompletionManifestRecord read_completion_manifests
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
