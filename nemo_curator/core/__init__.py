"""The Ray cluster a pipeline can run on."""
