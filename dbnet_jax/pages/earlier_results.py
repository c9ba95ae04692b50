"""What an earlier run left in a folder of results, and that it goes where a later one leaves something else."""

import os
import pathlib
import re
from collections.abc import Iterable

# As `write_results_page` names and shows them.
_SHOWN = re.compile(r'<img src="(pictures/\d{5,}-[\w-]+\.jpg)"', re.ASCII)


def pictures_of_page(page: pathlib.Path) -> set[pathlib.Path]:
    """The pictures that a results page shows; none where there is no page."""
    try:
        text = page.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return {page.parent / found for found in _SHOWN.findall(text)}


def remove(files: Iterable[pathlib.Path], folder: pathlib.Path) -> None:
    """Removes those of the files that are there and in the folder, or in one inside of it."""
    for file in files:
        # A damaged list may hold any name.
        if os.path.isfile(file) and file.parent.resolve().is_relative_to(folder.resolve()):
            file.unlink()
