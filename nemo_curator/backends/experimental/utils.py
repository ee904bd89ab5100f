"""Now `nemo_curator.backends.utils`."""

from nemo_curator.backends.utils import RayStageSpecKeys

__all__ = ["RayStageSpecKeys"]
