"""The work of one shard: detection or reading of its pictures, and its two files."""

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from absl import logging

from dbnet_jax.backends.compilation import telling_of_compilation
from dbnet_jax.bulk.listing import Entry
from dbnet_jax.bulk.output import part_name, put, read_part
from dbnet_jax.bulk.places import StorageLost
from dbnet_jax.bulk.plan import Shard
from dbnet_jax.bulk.reading import Source, sources_of
from dbnet_jax.bulk.rows import Record, as_lines, as_parquet
from dbnet_jax.bulk.tries import Tries
from dbnet_jax.images.decode import Picture, reading_options

Find = Callable[[Iterable[Source]], Generator[Record | ValueError, None, None]]
"""The record, without its name, of each picture in order; of one that cannot be read its error."""


@runtime_checkable
class Models(Protocol):
    """What looks at the pictures. It travels to other processes before it is loaded.

    - `predict`: the section of the config; `reading`: whether texts are read too.
    """

    @property
    def predict(self) -> Any: ...

    @property
    def reading(self) -> bool: ...

    def load(self) -> Find:
        """Prepares the networks, in the process that calls it."""
        ...


class Done(NamedTuple):
    """A shard whose files are there.

    - `pictures`: how many rows it has; `unreadable`: how many of them have an error.
    """

    shard: int
    pictures: int
    unreadable: int


@dataclass
class ShardWorker:
    """Does shards, one after the other, in one process.

    - `models`: are loaded with the first shard.
    - `output`: the folder of the results; `columns`: of Parquet files, see `list_pictures`.
    """

    models: Models
    output: str
    columns: str | None = None
    _find: Find | None = None
    _tries: Tries | None = None

    def do(self, shard: Shard) -> Done:
        """Writes the files of a shard, if they are not there yet.

        **Raises:** OSError if the files cannot be written, and StorageLost if the pictures cannot be read any more; any
        error of the models that does not come from a picture.
        """
        about = read_part(self.output, shard.number, shard.digest)
        if about is None:
            find = self._loaded()  # before the try: a process that ends at this is no death at a shard
            with Tries(self.output, shard.number) as self._tries:
                about = self._write(shard, self._records(find, shard, self._tries))
        return Done(shard.number, about["pictures"], about["unreadable"])

    def leave(self) -> None:
        """Notes that this process is told to end: if it ends within a shard, this is no death at it."""
        if self._tries is not None:
            self._tries.leave()

    def _loaded(self) -> Find:
        """The models, which have looked at a blank picture: the first look compiles the network."""
        if self._find is None:
            find = self.models.load()
            _check(find)
            self._find = find
        return self._find

    def _write(self, shard: Shard, records: list[Record]) -> dict[str, Any]:
        lines = as_lines(records)
        about = {
            "digest": shard.digest,
            "pictures": len(records),
            "unreadable": sum("error" in record for record in records),
            "json_bytes": len(lines),
        }
        part = f"{self.output}/{part_name(shard.number)}"
        put(f"{part}.jsonl", lines)
        # The last one: it completes the shard.
        put(f"{part}.parquet", as_parquet(records, self.models.reading, about))
        return about

    def _records(self, find: Find, shard: Shard, tries: Tries) -> list[Record]:
        if not tries.one_at_a_time:
            try:
                return list(self._look(find, self._sources(shard.entries)))
            except StorageLost:
                raise
            except Exception as error:
                what = f"{type(error).__name__}: {error}"
                logging.warning("%s: its pictures are looked at one at a time: %s", part_name(shard.number), what)
        with telling_of_compilation(tries.compiling):
            return list(self._carefully(find, shard.entries, tries))

    def _carefully(self, find: Find, entries: Sequence[Entry], tries: Tries) -> Iterator[Record]:
        """One picture at a time, without those that killed processes."""
        for entry in entries:
            if reason := tries.at(entry.name):
                yield _unreadable(entry.name, f"{entry.name}: {reason}")
                continue
            try:
                # No page of a file is read while the network is compiled for another one: this would be no death.
                records = [record for source in self._sources([entry]) for record in self._look(find, [source])]
            except StorageLost:
                raise
            except Exception as error:
                _check(find)
                records = [_unreadable(entry.name, f"{entry.name}: {type(error).__name__}: {error}")]
            yield from records
        tries.at(None)  # the files of the shard are written now

    def _sources(self, entries: Sequence[Entry]) -> Iterator[tuple[str, Source]]:
        predict = self.models.predict
        return sources_of(entries, self.columns, predict.frames, reading_options(predict))

    def _look(self, find: Find, named: Iterable[tuple[str, Source]]) -> Iterator[Record]:
        names: list[str] = []

        def sources() -> Iterator[Source]:
            for name, source in named:
                names.append(name)
                yield source

        with contextlib.closing(find(sources())) as found:
            for index, one in enumerate(found):
                name = names[index]
                yield _unreadable(name, str(one)) if isinstance(one, ValueError) else {"name": _text(name), **one}


def _check(find: Find) -> None:
    """**Raises:** the error of the models, if they fail with a blank picture too: then no picture is to blame."""
    blank = Picture("a blank picture", np.zeros((64, 64, 3), np.uint8))
    for one in find([lambda: blank]):
        if isinstance(one, ValueError):
            raise one


def _unreadable(name: str, reason: str) -> Record:
    return {"name": _text(name), "error": _text(reason)}


def _text(text: str) -> str:
    """The text with escapes for the bytes of a file name that are no text: Parquet has Unicode alone."""
    return text.encode("utf-8", errors="backslashreplace").decode()
