"""Now `nemo_curator.backends.ray_data`."""

from nemo_curator.backends.ray_data import RayDataExecutor

__all__ = ["RayDataExecutor"]
