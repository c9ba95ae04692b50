"""The HTTP service."""

import contextlib
import errno
import importlib.util
import math
import signal
import socket

from absl.app import UsageError

from dbnet_jax.commands.options import Options
from dbnet_jax.commands.sources import find_detector, load_recognizer
from dbnet_jax.detector import Detector
from dbnet_jax.recognition import Recognizer
from dbnet_jax.recognition.recognizer import DEFAULT as RECOGNIZER
from dbnet_jax.serve.limits import MEBIBYTE, Limits
from dbnet_jax.training.cpu_memory import keep_memory
from dbnet_jax.weights.run_folder import restore_variables
from dbnet_jax.weights.shipped import DEFAULT

_FLAGS = ("max_megabytes", "max_megapixels", "max_seconds", "max_waiting", "max_requests")
_PACKAGES = ("fastapi", "uvicorn", "python_multipart", "prometheus_client")


def run(options: Options) -> None:
    """The command `serve`. Ctrl-C and SIGTERM finish the requests that are under way, and end it with status 0."""
    if missing := [name for name in _PACKAGES if importlib.util.find_spec(name) is None]:
        raise ImportError(f"serve needs the package {' and '.join(missing)}: pip install 'dbnet_jax[serve]'")
    from dbnet_jax.serve.app import make_app
    from dbnet_jax.serve.engine import Engine
    from dbnet_jax.serve.server import make_server

    limits = _limits(options)
    with contextlib.closing(_listen(options.host, options.port)) as listening:
        options.recognizer = options.recognizer or RECOGNIZER
        names = {"detector": options.workdir or options.weights or DEFAULT, "recognizer": options.recognizer}
        engine = Engine(*_models(options), limits.pixels)
        server = make_server(make_app(engine, limits, names))
        host, port = listening.getsockname()[:2]
        print(f"http://{f'[{host}]' if ':' in host else host}:{port}/", flush=True)
        # uvicorn sends itself the signal again when all is done.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])


def _limits(options: Options) -> Limits:
    """The limits that the flags set. **Raises:** UsageError, which names the flag."""
    for name in _FLAGS:
        if not 0 < getattr(options, name) < math.inf:
            raise UsageError(f"--{name}={getattr(options, name)} must be positive")
    if not 0 <= options.port < 65536:
        raise UsageError(f"--port={options.port} must be in [0, 65535]")
    picture_bytes = int(options.max_megabytes * MEBIBYTE)
    return Limits(
        picture_bytes=picture_bytes,
        batch_bytes=4 * picture_bytes,
        batch_pictures=min(Limits.batch_pictures, options.max_waiting),
        pixels=int(options.max_megapixels * 1e6),
        body_seconds=options.max_seconds,
        waiting=options.max_waiting,
        requests=options.max_requests,
        held_bytes=max(Limits.held_bytes, 8 * picture_bytes),
    )


def _models(options: Options) -> tuple[Detector, Recognizer]:
    keep_memory()
    recognizer = load_recognizer(options.recognizer, options)
    config, trained = find_detector(options)
    return Detector(config, restore_variables(config, trained)), recognizer


def _listen(host: str, port: int) -> socket.socket:
    """**Raises:** OSError with the address, before any weights are read."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        hint = "; --port chooses another one" if error.errno in (errno.EADDRINUSE, errno.EACCES) else ""
        raise OSError(error.errno, f"--host={host} --port={port}: {error.strerror}{hint}") from error
