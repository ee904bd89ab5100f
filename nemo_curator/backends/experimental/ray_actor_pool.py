"""Now `nemo_curator.backends.ray_actor_pool`."""

from nemo_curator.backends.ray_actor_pool import RayActorPoolExecutor

__all__ = ["RayActorPoolExecutor"]
