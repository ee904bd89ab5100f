"""Who runs a pipeline: this machine's processes, or one of three engines on Ray."""
