"""What one worker of a stage needs."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Resources:
    """CPU cores and GPUs of one worker. Fractions share a core or a card; give `gpus` or `gpu_memory_gb`, not both.

    `entire_gpu`, `nvdecs` and `nvencs` are accepted for older scripts; `entire_gpu` means one whole GPU.
    """

    cpus: float = 1.0
    gpu_memory_gb: float = 0.0
    gpus: float = 0.0
    nvdecs: int = 0
    nvencs: int = 0
    entire_gpu: bool = False

    def __post_init__(self) -> None:
        if self.cpus < 0 or self.gpus < 0 or self.gpu_memory_gb < 0:
            raise ValueError(f"resources cannot be negative: {self}")
        if self.gpus and self.gpu_memory_gb:
            raise ValueError(f"give gpus or gpu_memory_gb, not both: {self}")
        if self.entire_gpu and not self.gpus:
            self.gpus = 1.0

    @property
    def requires_gpu(self) -> bool:
        return self.gpus > 0 or self.gpu_memory_gb > 0


def one_gpu_or(cpus: float) -> Resources:
    """A whole GPU where there is one, else so many CPUs; an executor cuts a request to what there is."""
    return gpus_or(1.0, cpus)


def gpus_or(gpus: float, cpus: float) -> Resources:
    """So many GPUs, or a share of one, where there is one; else so many CPUs."""
    return Resources(gpus=gpus) if gpus and has_gpu() else Resources(cpus=cpus)


def has_gpu() -> bool:
    """Whether this machine has a GPU of NVIDIA that this process may use; nothing is imported to find out."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    return any(Path("/proc/driver/nvidia/gpus").glob("*"))
