"""Pipelines for text that are ready to run: `python -m nemo_curator.config.run --config-name NAME input_path=…`."""
