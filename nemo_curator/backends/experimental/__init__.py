"""Where the Ray executors were up to 26.02."""

from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor
from nemo_curator.backends.ray_data import RayDataExecutor

__all__ = ["RayActorPoolExecutor", "RayDataExecutor"]
