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
DEATHS_AT_COMPILATION = 10
"""After so many deaths while the network was compiled for the shape of a picture, it is left out.

They are hardly ever due to the picture. But a job must end.
"""


class Tries:
    """One try of a shard: a file says who does it, and stays if the process dies.

    The file is JSON: `deaths` before this try, `pid` and `host` of the process, `at`, the picture that is done alone,
    and whether the network is `compiling` for it. `died_at` and `died_compiling` are how often processes died at a
    picture that was done alone.

    **Arguments:** `output`: the folder of the results; `shard`: its number.
    """

    def __init__(self, output: str, shard: int):
        self._file = as_path(f"{output}/{TRIES}/{part_name(shard)}.json")
        self._state: dict[str, Any] = {
            **{"deaths": 0, "at": None, "compiling": False},
            **{"died_at": {}, "died_compiling": {}},
        }
        self._left = False

    @property
    def one_at_a_time(self) -> bool:
        """Whether the pictures of the shard should be done alone."""
        return bool(self._state["deaths"] >= DEATHS)

    def __enter__(self) -> "Tries":
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # the first try, or a damaged file
            earlier = json.loads(self._file.read_text())
            counts = {name: dict(earlier[name]) for name in ("died_at", "died_compiling")}
            if (picture := earlier["at"]) is not None:
                died = counts["died_compiling" if earlier["compiling"] else "died_at"]
                died[picture] = died.get(picture, 0) + 1
            self._state.update(deaths=int(earlier["deaths"]) + 1, **counts)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._save()
        return self

    def at(self, name: str | None) -> str:
        """Notes which picture is done alone now; None is none of them.

        **Returns:** why it must be left out; "" if it need not be.
        """
        if self._state["died_at"].get(name, 0) >= DEATHS:
            return f"{DEATHS} processes ended at this picture, perhaps for want of memory"
        if self._state["died_compiling"].get(name, 0) >= DEATHS_AT_COMPILATION:
            return f"{DEATHS_AT_COMPILATION} processes ended while the network was compiled for this picture"
        self._state["at"] = name
        self._save()
        return ""

    def compiling(self, now: bool) -> None:
        """Notes whether the network is compiled for the picture that is done alone."""
        self._state["compiling"] = now
        self._save()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._file.unlink(missing_ok=True)
        else:
            self.leave()

    def leave(self) -> None:
        """Ends a try that is no death, though the process may end. What earlier deaths have shown stays known."""
        with contextlib.suppress(OSError):  # as on a full disk; the error itself goes on
            if self._state["deaths"] == 0:
                self._file.unlink(missing_ok=True)
            else:
                self._state.update(deaths=self._state["deaths"] - 1, at=None, compiling=False)
                self._save()
        self._left = True  # a thread may go on for a moment

    def _save(self) -> None:
        if self._left:
            return
        about = {**self._state, "pid": os.getpid(), "host": socket.gethostname()}
        put(os.fspath(self._file), json.dumps(about).encode(), durable=False)
