"""Neural networks behind numpy in, numpy out: the only place that imports torch for them."""
