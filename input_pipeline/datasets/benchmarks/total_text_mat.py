"""Total-Text's labels as their owner's MATLAB files hold them: rows of cells."""

import numpy as np

from dbnet_jax.images.decode import BadPicture
from input_pipeline.datasets.parsing.mat_file import Value, read_cells

Row = list[Value]


def polygon_rows(data: bytes, file: str) -> list[tuple[int, Row]]:
    """The rows of the cell array `polygt`, each with its number, counted from 1.

    **Arguments:**

    - `data`: the content of the file.
    - `file`: its name, for messages.

    **Raises:** `BadPicture` if there is no such array, or the file is damaged or no MATLAB file.
    """
    try:
        table = read_cells(data, "polygt")
    except ValueError as error:
        raise BadPicture(f"{file}: cannot be read as a MATLAB file: {error}") from error
    rows = table.shape[0] if table.cells else 0
    return [(row + 1, table.cells[row::rows]) for row in range(rows)]


def cell_numbers(cell: Value) -> list[float]:
    """The numbers in a cell. **Raises:** `ValueError` if it holds anything else."""
    if not isinstance(cell, np.ndarray):
        raise ValueError(f"{_plain(cell)!r} where numbers are needed")
    return cell.astype(np.float64).ravel(order="F").tolist()


def cell_text(cell: Value) -> str:
    """The string in a cell, or its number as a string; the empty string where it is empty."""
    return "".join(cell) if isinstance(cell, list) else _plain(cell)


def show_row(row: Row) -> str:
    """A row as it reads in a message."""
    return " ".join(map(_plain, row))


def _plain(cell: Value) -> str:
    values = cell.ravel(order="F")[:20].tolist() if isinstance(cell, np.ndarray) else (cell or [])
    return " ".join(map(str, values))
