"""Strings that filters and modifiers look for."""

policy_substrings = [
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "privacy overview",
    "use of cookies",
    "use cookies",
    "privacy & cookies policy",
    "privacy and cookies policy",
    "necessary cookies are absolutely essential",
    "any cookies that may not be particularly",
    "if you continue to browse this site without",
]
"""What notices about privacy and cookies say, in lower case: what C4 looks for, and how three common banners begin."""
