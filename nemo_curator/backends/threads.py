"""What the libraries of a worker may use: threads and memory."""

import sys

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
"""Variables that are 1 in a worker unless the user has set them: there is a worker for each CPU."""


KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(512 << 20), "MALLOC_MMAP_THRESHOLD_": str(32 << 20)}
"""Lets glibc keep what a batch needed for the next: giving it back and fetching it again took a tenth of the time."""


def use_threads(cpus: int) -> None:
    """Let the libraries of this process use as many threads as the step was granted CPUs."""
    if arrow := sys.modules.get("pyarrow"):
        arrow.set_cpu_count(cpus)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(cpus)
    if numba := sys.modules.get("numba"):
        numba.set_num_threads(min(cpus, numba.config.NUMBA_NUM_THREADS))
