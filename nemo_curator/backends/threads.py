"""How many threads the libraries of a worker use."""

import sys

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")
"""Variables that are 1 in a worker unless the user has set them: there is a worker for each CPU."""


def use_threads(cpus: int) -> None:
    """Let the libraries of this process use as many threads as the step was granted CPUs."""
    if arrow := sys.modules.get("pyarrow"):
        arrow.set_cpu_count(cpus)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(cpus)
    if numba := sys.modules.get("numba"):
        numba.set_num_threads(min(cpus, numba.config.NUMBA_NUM_THREADS))
