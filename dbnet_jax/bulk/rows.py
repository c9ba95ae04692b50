"""The rows of a shard as JSON lines and as Parquet.

A record is what `--mode=predict` or `--mode=read` writes of a picture as JSON, and its name. The record of a picture
that could not be read has its name and `error`, the reason.
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
KEY = b"dbnet_jax.shard"
"""Of a Parquet file's metadata: JSON that identifies the shard."""


def as_lines(records: Sequence[Record]) -> bytes:
    """One line of JSON for each record."""
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def as_parquet(records: Sequence[Record], reading: bool, about: Mapping[str, Any]) -> bytes:
    """The content of a Parquet file with one row for each record; docs/bulk.md describes the columns.

    **Arguments:** `records`; `reading`: whether the records are of a reader; `about`: identifies the shard.
    """
    import pyarrow
    import pyarrow.parquet

    numbers, texts = pyarrow.list_(pyarrow.float32()), pyarrow.list_(pyarrow.string())
    columns = {
        "name": pyarrow.string(),
        "error": pyarrow.string(),
        "height": pyarrow.int32(),
        "width": pyarrow.int32(),
        "polygons": pyarrow.list_(pyarrow.list_(numbers)),
        "scores": numbers,
        "notes": texts,
    }
    if reading:
        columns |= {"text": pyarrow.string(), "texts": texts, "text_scores": numbers}
        columns["lines"] = pyarrow.list_(pyarrow.int32())
    schema = pyarrow.schema(list(columns.items()), {KEY: json.dumps(about)})
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([_row(one) for one in records], schema), file)
    return file.getvalue()


def _row(record: Record) -> dict[str, Any]:
    """A record with a value for each column; those that it lacks are null."""
    row = {key: record[key] for key in ("name", "error", "height", "width", "notes", "text") if key in record}
    if "error" in record:
        return row
    row["notes"] = record.get("notes", [])
    if "detections" in record:
        row["polygons"] = [one["polygon"] for one in record["detections"]]
        row["scores"] = [one["score"] for one in record["detections"]]
    else:
        words = [(number, word) for number, line in enumerate(record["lines"]) for word in line["words"]]
        row["polygons"] = [word["polygon"] for _, word in words]
        row["scores"] = [word["detection_score"] for _, word in words]
        row["texts"] = [word["text"] for _, word in words]
        row["text_scores"] = [word["score"] for _, word in words]
        row["lines"] = [number for number, _ in words]
    return row
