"""Loops over the bytes of Arrow columns, compiled by numba when first called.

A kernel takes the bytes of a text column (`uint8`) and where each document starts (`int64`, one more than there are
documents), and returns one value per document. It gives exactly what Python gives for the text, document by document.
"""
