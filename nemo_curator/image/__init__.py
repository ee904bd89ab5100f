"""A package of the Dask era: names in it say what replaced them."""
