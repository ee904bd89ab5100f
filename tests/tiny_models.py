"""Models of a few kilobytes, made by the libraries that make large ones. Each is made once in a process."""

import tempfile
from functools import cache
from pathlib import Path

TEXT = "the cat sat on the mat and the dog sat on the log\n"


@cache
def folder():
    made = tempfile.TemporaryDirectory(prefix="tiny_models-")
    folder.keep = made  # deleted with the process
    return Path(made.name)


@cache
def sentencepiece_model():
    """A SentencePiece model of 18 pieces."""
    import sentencepiece

    (folder() / "text.txt").write_text(TEXT * 50)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder() / "text.txt"), model_prefix=str(folder() / "pieces"), vocab_size=18, minloglevel=2
    )
    return str(folder() / "pieces.model")
