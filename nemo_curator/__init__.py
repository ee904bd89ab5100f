"""Curate training data: read, clean, filter, deduplicate, embed, classify, write.

Importing this package loads nothing else; every name is imported from the module that defines it.
"""

from nemo_curator.dask_era import replaced

__version__ = "0.1.0"
__shortversion__ = __version__
__package_name__ = "curator-ray"
__description__ = "Turn raw text, images, video and audio into training data, on any machine"
__license__ = "Apache-2.0"
__keywords__ = "data curation, deduplication, filtering, deep learning, large language models"

__getattr__ = replaced(__name__)
