"""How often a process has died at a shard, so that a picture that kills processes does not stop a job for ever."""

import contextlib
import json
import os
import socket
from types import TracebackType
from typing import Any

from dbnet_jax.bulk.output import TRIES, part_name, put
from dbnet_jax.paths import as_path

DEATHS = 2
"""After so many deaths at a shard, its pictures are done one at a time; after so many at a picture, it is left out."""


class Tries:
    """One try of a shard: a file says who does it, and stays if the process dies.

    The file is JSON: `deaths` before this try, `pid` and `host` of the process, `at`, the picture that is done alone,
    and `died_at`, how often processes died at a picture that was done alone.

    **Arguments:** `output`: the folder of the results; `shard`: its number.
    """

    def __init__(self, output: str, shard: int):
        self._file = as_path(f"{output}/{TRIES}/{part_name(shard)}.json")
        self._state: dict[str, Any] = {"deaths": 0, "at": None, "died_at": {}}

    @property
    def one_at_a_time(self) -> bool:
        """Whether the pictures of the shard should be done alone."""
        return bool(self._state["deaths"] >= DEATHS)

    def __enter__(self) -> "Tries":
        try:
            earlier = json.loads(self._file.read_text())
            self._state = {"deaths": int(earlier["deaths"]) + 1, "at": None, "died_at": dict(earlier["died_at"])}
            if earlier["at"] is not None:
                self._state["died_at"][earlier["at"]] = self._state["died_at"].get(earlier["at"], 0) + 1
        except (OSError, ValueError, KeyError, TypeError):  # the first try, or a damaged file
            pass
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._save()
        return self

    def at(self, name: str) -> bool:
        """Notes that a picture is done alone. **Returns:** False if it has killed processes: it must be left out."""
        if self._state["died_at"].get(name, 0) >= DEATHS:
            return False
        self._state["at"] = name
        self._save()
        return True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None or self._state["deaths"] == 0:
            self._file.unlink(missing_ok=True)
            return
        # An error is no death, and what earlier deaths have shown stays known.
        self._state.update(deaths=self._state["deaths"] - 1, at=None)
        with contextlib.suppress(OSError):  # as on a full disk; the error itself goes on
            self._save()

    def _save(self) -> None:
        about = {**self._state, "pid": os.getpid(), "host": socket.gethostname()}
        put(os.fspath(self._file), json.dumps(about).encode(), durable=False)
