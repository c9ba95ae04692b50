"""The files of exports: their paths, and the config and the card in them."""

import io
import json
import os
import pathlib
import zipfile

from dbnet_jax.characters import load_characters
from dbnet_jax.config.saved import without_paths
from dbnet_jax.export.program import Network
from dbnet_jax.files import write_atomically
from dbnet_jax.paths import as_path
from dbnet_jax.weights.model_card import ModelCard


def metadata(network: Network, path: str | os.PathLike[str]) -> dict[str, str]:
    """Texts that travel in the file: config and card as JSON, the licences of the data, a recogniser's characters."""
    card = getattr(network, "card", None) or ModelCard(name=pathlib.Path(path).stem)
    config = without_paths(network.config)
    reads = config.task == "recognition"
    characters = {"characters": load_characters(config.model.characters).characters} if reads else {}
    return characters | {
        "format": "dbnet_jax",
        "config": json.dumps(config.to_dict(), ensure_ascii=False),
        "card": json.dumps(card.as_dict(), ensure_ascii=False),
        "licences": card.licences,
    }


def with_archive(content: bytes, texts: dict[str, str]) -> bytes:
    """The content of a FlatBuffers file, and behind it a zip archive of texts.

    Readers of FlatBuffers ignore what follows, and readers of zip archives what comes before. LiteRT's own tools keep
    texts in this way.
    """
    file = io.BytesIO()
    file.write(content)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return file.getvalue()


def checked_path(path: str | os.PathLike[str], suffix: str) -> pathlib.Path:
    """The path. **Raises:** ValueError if it has another suffix; IsADirectoryError if it is a folder."""
    path = as_path(path)
    if path.suffix != suffix:
        raise ValueError(f"`path` (={os.fspath(path)!r}) must end in {suffix}")
    if path.is_dir():
        raise IsADirectoryError(f"`path` (={os.fspath(path)!r}) is a folder: choose another name")
    return path


def write(path: pathlib.Path, content: bytes) -> None:
    """Writes the file in one move. Its folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
