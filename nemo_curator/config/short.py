"""The short form of a pipeline: `read`, `stages` by their names, `write`.

An item is a name, or a name with its parameters: `- WordCountFilter: {min_words: 50}`. Filters and modifiers become
stages by themselves.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, signature
from itertools import chain
from typing import Any

from nemo_curator.config.build import annotation_of, build, find_class, make
from nemo_curator.config.catalog import classes_by_name, did_you_mean
from nemo_curator.config.load import is_long, join
from nemo_curator.errors import ConfigError
from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.image.io import ImageReaderStage, ImageWriterStage
from nemo_curator.stages.image.io.names import IMAGE_EXTENSIONS, TAR_EXTENSIONS
from nemo_curator.stages.text.filters import DocumentFilter, ScoreFilter
from nemo_curator.stages.text.io.reader import HuggingFaceReader, JsonlReader, ParquetReader
from nemo_curator.stages.text.io.writer import HuggingFaceWriter, JsonlWriter, ParquetWriter
from nemo_curator.stages.text.modifiers import DocumentModifier, Modify
from nemo_curator.utils.file_utils import get_default_file_extensions
from nemo_curator.utils.find_files import find_files, has_extension

OF_FILTERS = {"text_field": "text_field", "score_field": "score_field", "invert": "invert"}
OF_MODIFIERS = {"text_field": "input_fields", "output_field": "output_fields"}
"""What may be given beside the parameters of a filter or modifier, and what the stage around it calls that."""
_BASES = {"ProcessingStage", "DocumentFilter", "DocumentModifier"}

_READERS: dict[type, list[str]] = {
    JsonlReader: get_default_file_extensions("jsonl"),
    ParquetReader: get_default_file_extensions("parquet"),
    ImageReaderStage: [*TAR_EXTENSIONS, *(f".{one}" for one in sorted(IMAGE_EXTENSIONS))],
}
_WRITERS: dict[type, type] = {
    HuggingFaceReader: HuggingFaceWriter,
    ImageReaderStage: ImageWriterStage,
    JsonlReader: JsonlWriter,
    ParquetReader: ParquetWriter,
}


@dataclass(frozen=True)
class ShortForm:
    """Makes what items name: classes of the package and of `allowed` ones.

    `text_field` is the column of whatever has a parameter of that name and is not told otherwise.
    """

    allowed: Sequence[str]
    text_field: str = "text"

    def stage(self, item: Any, place: str) -> ProcessingStage:
        """The stage that an item names, or the one around the filter or modifier that it names."""
        name, given, place = _split(item, place)
        cls = self._find(name, place)
        if issubclass(cls, DocumentFilter):
            return self._wrapped(cls, given, place, ScoreFilter, "filter_obj", OF_FILTERS)
        if issubclass(cls, DocumentModifier):
            return self._wrapped(cls, given, place, Modify, "modifier_fn", OF_MODIFIERS)
        if not issubclass(cls, ProcessingStage):
            raise ConfigError(f"{place}: {name} is neither a stage nor a filter or modifier, which become one")
        column = _parameters(cls).get("text_field")
        if column is not None and column.default == "text":
            given.setdefault("text_field", self.text_field)
        return self._make(cls, given, place)

    def workflow(self, item: Any, place: str) -> Any:
        """The workflow that an item names."""
        name, given, place = _split(item, place)
        return self._make(self._find(name, place), given, place)

    def reader(self, value: Any, place: str) -> ProcessingStage:
        """The reader that is named, or the one for these files, by the endings of their names."""
        if not isinstance(value, str | list):
            return self.stage(value, place)
        cls = _reader_of([value] if isinstance(value, str) else value, place)
        return make(cls, {"input_path" if cls is ImageReaderStage else "file_paths": value}, place)

    def writer(self, value: Any, place: str, reader: Any) -> ProcessingStage:
        """The writer that is named, or into a folder the one of the format that was read."""
        if not isinstance(value, str):
            return self.stage(value, place)
        cls = next((writer for kind, writer in _WRITERS.items() if isinstance(reader, kind)), None)
        if cls is None or has_extension(value, [".jsonl", ".json", ".parquet", ".tar"]):
            raise ConfigError(
                f"{place} is {value!r}; wanted a folder, in which files get the format that is read, or a writer such "
                "as JsonlWriter: {path: …} or ParquetWriter: {path: …}"
            )
        return make(cls, {"output_dir" if cls is ImageWriterStage else "path": value}, place)

    def _wrapped(
        self, cls: type, given: dict[str, Any], place: str, stage: Any, parameter: str, around: dict[str, str]
    ) -> ProcessingStage:
        own = _parameters(cls)
        outside = {around[key]: given.pop(key) for key in list(given) if key in around and key not in own}
        outside.setdefault(around["text_field"], self.text_field)
        one = self._make(cls, given, place, around=list(around))
        return make(stage, {parameter: one, **outside}, place)

    def _make(self, cls: type, given: dict[str, Any], place: str, around: Sequence[str] = ()) -> Any:
        taken = _parameters(cls)
        parameters = {key: self._value(value, taken.get(key), join(place, key)) for key, value in given.items()}
        return make(cls, parameters, place, around=around)

    def _value(self, value: Any, parameter: Parameter | None, place: str) -> Any:
        """What a parameter gets: where it takes filters, stages and the like, these are named in the same way."""
        if parameter is None or not self._takes_named(annotation_of(parameter)):
            return build(value, place, allowed=self.allowed)
        if isinstance(value, list):
            return [self._value(item, parameter, join(place, at)) for at, item in enumerate(value)]
        if is_long(value) or not isinstance(value, str | Mapping):
            return build(value, place, allowed=self.allowed)
        name, given, place = _split(value, place)
        return self._make(self._find(name, place), given, place)

    def _takes_named(self, annotation: str) -> bool:
        return not {*re.findall(r"\w+", annotation)}.isdisjoint({*_BASES, *_known(tuple(self.allowed))})

    def _find(self, name: str, place: str) -> type:
        if "." in name:
            return find_class(name, place, self.allowed)
        known = _known(tuple(self.allowed))
        found = known.get(name, [])
        if not found:
            raise ConfigError(f"{place}: {name} is no stage, filter or modifier{did_you_mean(name, known)}")
        if len(found) > 1:
            full = [f"{cls.__module__}.{cls.__qualname__}" for cls in found]
            raise ConfigError(f"{place}: there are several {name}; give the full name: {' or '.join(full)}")
        return found[0]


@functools.cache
def _known(allowed: tuple[str, ...]) -> dict[str, list[type]]:
    return classes_by_name(allowed)


def _split(item: Any, place: str) -> tuple[str, dict[str, Any], str]:
    """The name of an item, its parameters, and where these are."""
    if isinstance(item, str):
        return item, {}, place
    if not isinstance(item, Mapping) or not item:
        raise ConfigError(f"{place} is {item!r}; wanted the name of a class, alone or as NAME: {{parameter: value}}")
    name, given = next(iter(item.items()))
    if not isinstance(name, str):
        raise ConfigError(f"{place} begins with {name!r}; wanted the name of a class")
    if len(item) > 1:
        others = [key for key in item if key != name]
        remedy = f"indent the parameters of {name} further than its name" if given is None else "begin each with '- '"
        raise ConfigError(f"{join(place, others[0])}: {others[0]} stands beside {name}; {remedy}")
    place = join(place, name)
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"{place} is {given!r}; wanted its parameters by their names, as in {name}: {{name: value}}")
    return name, dict(given or {}), place


@functools.cache
def _parameters(cls: type) -> dict[str, Parameter]:
    return dict(signature(cls).parameters)


def _reader_of(paths: list[str], place: str) -> type:
    """The reader of files, by the first whose ending says it; into folders and patterns without one we look."""
    inside = (found.path for path in paths for found in find_files(path))
    for path in chain(paths, inside):
        for reader, extensions in _READERS.items():
            if has_extension(path, extensions):
                return reader
    endings = ", ".join(one for extensions in _READERS.values() for one in extensions)
    raise ConfigError(f"{place} is {paths}: no file there ends in {endings}; name the reader, as in JsonlReader: {{…}}")
