"""Remove images that look like others: embed all of them, find duplicates among the embeddings, read and write again.

    python image_dedup_example.py --input-wds-dataset-dir tars/ --output-dataset-dir unique/ --model-dir models/ \
        --embeddings-dir embeddings/ --removal-parquets-dir removal/
"""

import argparse

from options import add_common_options, make_executor

from nemo_curator.pipeline import Pipeline
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.deduplication.semantic import SemanticDeduplicationWorkflow
from nemo_curator.stages.file_partitioning import FilePartitioningStage
from nemo_curator.stages.image.deduplication.removal import ImageDuplicatesRemovalStage
from nemo_curator.stages.image.embedders.clip_embedder import ImageEmbeddingStage
from nemo_curator.stages.image.io.convert import ConvertImageBatchToDocumentBatchStage
from nemo_curator.stages.image.io.image_reader import ImageReaderStage
from nemo_curator.stages.image.io.image_writer import ImageWriterStage
from nemo_curator.stages.text.io.writer.parquet import ParquetWriter


def main(args: argparse.Namespace) -> None:
    embed = Pipeline(
        name="image_embedding",
        description="One row for each image: its id and its embedding",
        stages=[
            *read(args),
            ImageEmbeddingStage(
                model_dir=args.model_dir,
                num_gpus_per_worker=args.embedding_gpus_per_worker,
                model_inference_batch_size=args.embedding_batch_size,
                remove_image_data=True,
                verbose=args.verbose,
            ),
            ConvertImageBatchToDocumentBatchStage(fields=["image_id", "embedding"]),
            ParquetWriter(args.embeddings_dir),
        ],
    )
    embed.run(make_executor(args))
    print(embed.last_run.table())

    find = SemanticDeduplicationWorkflow(
        input_path=args.embeddings_dir,
        output_path=args.removal_parquets_dir,
        id_field="image_id",
        embedding_field="embedding",
        n_clusters=args.n_clusters,
        eps=args.eps,
        read_kwargs={"storage_options": {}},
        write_kwargs={"storage_options": {}},
    )
    find.run(make_executor(args))

    remove = Pipeline(
        name="image_deduplication",
        description="The images that are no duplicates",
        stages=[
            *read(args),
            ImageDuplicatesRemovalStage(f"{args.removal_parquets_dir}/duplicates", duplicate_id_field="id"),
            ImageWriterStage(
                args.output_dataset_dir,
                images_per_tar=args.images_per_tar,
                remove_image_data=True,
                verbose=args.verbose,
            ),
        ],
    )
    remove.run(make_executor(args))
    print(remove.last_run.table())


def read(args: argparse.Namespace) -> list[ProcessingStage]:
    return [
        FilePartitioningStage(
            args.input_wds_dataset_dir, files_per_partition=args.tar_files_per_partition, file_extensions=[".tar"]
        ),
        ImageReaderStage(batch_size=args.batch_size, num_threads=16, verbose=args.verbose),
    ]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument("--embeddings-dir", required=True)
    parser.add_argument("--removal-parquets-dir", required=True)
    parser.add_argument("--n-clusters", type=int, default=100)
    parser.add_argument("--eps", type=float, default=0.01, help="cosine distance up to which images are alike")
    return parser.parse_args()


if __name__ == "__main__":
    main(parse_args())
