"""Names of files: which ones a system wrote for itself, and which ones are one name to a person."""

import pathlib
import unicodedata
import urllib.parse
from collections.abc import Iterator

# Folders and files that Macs, Windows and network drives add to a person's own; without capitals.
_OF_SYSTEMS = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("@eadir", "@recycle", "#recycle", "lost+found"),
}


def is_hidden(name: str) -> bool:
    """Whether a file or a folder of this name is left out where a folder is searched.

    These are names that begin with a dot, such as `._img_1.jpg` of a Mac and `.thumbnails`, and `__MACOSX`,
    `Thumbs.db`, `@eaDir` and others that systems write. A file that a person names is read all the same.
    """
    return name.startswith(".") or name.lower() in _OF_SYSTEMS


def visible_below(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """The files and folders in a folder and in the folders in it, without hidden ones and what is in them."""
    for path in folder.rglob("*"):
        if not any(map(is_hidden, path.relative_to(folder).parts)):
            yield path


def same_name(name: str) -> str:
    """The form that all spellings of a name share: Unicode's NFC, without percent-encoding.

    Macs write `é` as two characters (NFD), labelling tools in a browser as `%C3%A9`.
    """
    return unicodedata.normalize("NFC", urllib.parse.unquote(name))
