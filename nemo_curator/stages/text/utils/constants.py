"""Strings that filters and modifiers look for."""

from nemo_curator.kernels.boilerplate import POLICIES

policy_substrings = list(POLICIES)
"""What notices about privacy and cookies say, in lower case: what C4 looks for, and how three common banners begin."""
