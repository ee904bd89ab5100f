"""A module of the Dask era: its names say what replaced them."""

from nemo_curator.dask_era import replaced

__getattr__ = replaced(__name__)
