"""Clients of the HTTP service: those that send good pictures, and those that do not."""

import contextlib
import functools
import http.client
import itertools
import socket
import statistics
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

TIMEOUT = 300.0  # seconds of a request
_PIECES = 5  # of a slow client's body, a second each


class Tally:
    """The answers to good pictures and to bad requests, and the seconds of the good ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.good: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.seconds: list[float] = []

    def add(self, answer: str, seconds: float, bad: str = "") -> None:
        """Counts an answer: to a good picture, or to a bad request of that kind."""
        with self._lock:
            if bad:
                self.bad[f"{bad}: {answer}"] += 1
            else:
                self.good[answer] += 1
                self.seconds.append(seconds)

    def latency(self) -> dict[str, float]:
        """The median and the 95th percentile, in seconds."""
        if len(self.seconds) < 2:
            return {"median": self.seconds[0] if self.seconds else float("nan"), "p95": float("nan")}
        return {"median": statistics.median(self.seconds), "p95": statistics.quantiles(self.seconds, n=20)[-1]}


def post(port: int, body: Any, path: str = "/detect") -> str:
    """The status of the answer, or the name of the error."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        with contextlib.closing(connection):
            connection.request("POST", path, body)
            response = connection.getresponse()
            response.read()
            return str(response.status)
    except OSError as error:
        return type(error).__name__


def load(
    port: int,
    pictures: Sequence[bytes],
    clients: int,
    seconds: float,
    is_bad: Callable[[int], bool] = lambda number: False,
) -> tuple[Tally, float]:
    """So many clients, each with one request at a time, until the time is over.

    **Returns:** the answers, and the seconds until the last one.
    """
    tally, numbers, end = Tally(), itertools.count(), time.perf_counter() + seconds
    kinds: Iterator[tuple[str, Callable[[int, bytes], str]]] = itertools.cycle(BAD.items())

    def run() -> None:
        while time.perf_counter() < end:
            number = next(numbers)
            picture, begun = pictures[number % len(pictures)], time.perf_counter()
            if is_bad(number):
                kind, send = next(kinds)
                tally.add(send(port, picture), time.perf_counter() - begun, kind)
            else:
                tally.add(post(port, picture), time.perf_counter() - begun)

    begun = time.perf_counter()
    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally, time.perf_counter() - begun


def _broken_off(port: int, picture: bytes) -> str:
    """A client that leaves in the middle of its picture."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        connection.sendall(_head(len(picture)) + picture[: len(picture) // 2])
    return "left"


def _slow(port: int, picture: bytes) -> str:
    """A client that sends a piece each second, and never all."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as connection:
        connection.sendall(_head(len(picture)))
        for piece in range(_PIECES):
            connection.sendall(picture[100 * piece : 100 * piece + 100])
            time.sleep(1)
    return "left"


def _head(length: int) -> bytes:
    return f"POST /detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


@functools.cache
def _bomb(side: int) -> bytes:
    """A PNG file of few bytes and of side × side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes((side + 7) // 8 + 1) * side, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


BAD: dict[str, Callable[[int, bytes], str]] = {
    "cut picture": lambda port, picture: post(port, picture[: len(picture) // 2]),
    "no picture": lambda port, picture: post(port, bytes(1000)),
    "bomb": lambda port, picture: post(port, _bomb(30_000)),
    "too many bytes": lambda port, picture: post(port, iter([bytes(1 << 20)] * 40)),
    "wrong option": lambda port, picture: post(port, picture, "/detect?size=1"),
    "broken off": _broken_off,
    "slow": _slow,
}
"""Bad requests by their kinds: each takes the port and a picture, and returns the answer."""
