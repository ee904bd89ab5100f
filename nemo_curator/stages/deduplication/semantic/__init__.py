"""Semantic deduplication: of rows whose embeddings are nearly the same, one stays."""

from nemo_curator.stages.deduplication.semantic.identify_duplicates import IdentifyDuplicatesStage
from nemo_curator.stages.deduplication.semantic.kmeans import KMeansReadFitWriteStage, KMeansStage
from nemo_curator.stages.deduplication.semantic.pairwise import PairwiseCosineSimilarityStage, PairwiseStage
from nemo_curator.stages.deduplication.semantic.pairwise_io import ClusterWiseFilePartitioningStage
from nemo_curator.stages.deduplication.semantic.ranking import RankingStrategy
from nemo_curator.stages.deduplication.semantic.semantic_deduplication import SemanticDeduplicationStage
from nemo_curator.stages.deduplication.semantic.workflow import SemanticDeduplicationWorkflow

__all__ = [
    "ClusterWiseFilePartitioningStage",
    "IdentifyDuplicatesStage",
    "KMeansReadFitWriteStage",
    "KMeansStage",
    "PairwiseCosineSimilarityStage",
    "PairwiseStage",
    "RankingStrategy",
    "SemanticDeduplicationStage",
    "SemanticDeduplicationWorkflow",
]
