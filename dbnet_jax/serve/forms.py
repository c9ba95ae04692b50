"""The pictures in a request's body."""

from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dbnet_jax.messages import plural
from dbnet_jax.serve.problems import Refusal

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FORM = b"multipart/form-data"
_LONGEST_NAME = 200  # characters of a file's name
_MOST_FIELDS = 64  # parts of a form that are no files


class Upload(NamedTuple):
    """A picture file that a client sent: its name for messages, and its content."""

    name: str
    content: bytes


def uploads(content_type: str | None, body: bytes, most: int) -> list[Upload]:
    """The pictures in a body: the files of a form, under whatever names of fields, or the body itself.

    **Arguments:** `content_type`: of the request; `body`; `most`: pictures that are taken.

    **Raises:** Refusal if the form is broken, or if there are no pictures or too many.
    """
    kind, options = parse_options_header(content_type)
    if kind == FORM:
        found = _Form(most).read(options.get(b"boundary", b""), body)
    else:
        found = [Upload("picture", body)]
    if not found or not any(one.content for one in found):
        raise Refusal(422, "there is no picture; send it as the body, or as a file in a form (curl -F picture=@FILE)")
    return found


class _Form:
    """Collects the files of a form in memory."""

    def __init__(self, most: int):
        self._most = most
        self._files: list[Upload] = []
        self._fields = 0
        self._header, self._value = b"", b""
        self._name: str | None = None  # of the file; None in a part that is no file
        self._content: list[bytes] = []
        self._complete = False

    def read(self, boundary: bytes, body: bytes) -> list[Upload]:
        """The files. **Raises:** Refusal."""
        if not boundary:
            raise Refusal(400, "the form has no boundary in its Content-Type; let the client write that header")
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._on_part_begin,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_end": self._on_end,
        }
        try:
            parser = MultipartParser(boundary, callbacks)
            parser.write(body)
            parser.finalize()
        except FormParserError as error:
            raise Refusal(400, f"the form is broken: {error}") from error
        if not self._complete:
            raise Refusal(400, "the form is broken: it ends before its last boundary")
        return self._files

    def _on_part_begin(self) -> None:
        self._name, self._content = None, []

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            options = parse_options_header(self._value)[1]
            if b"filename" in options:
                name = options[b"filename"].decode("utf-8", "replace")
                self._name = "".join(filter(str.isprintable, name))[:_LONGEST_NAME]
        self._header, self._value = b"", b""

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name is not None:
            self._content.append(data[start:end])

    def _on_part_end(self) -> None:
        if self._name is None:
            self._fields += 1
        else:
            self._files.append(Upload(self._name or "picture", b"".join(self._content)))
        if len(self._files) > self._most:
            raise Refusal(413, f"the form has more than {plural(self._most, 'picture')}, the limit of this address")
        if self._fields > _MOST_FIELDS:
            raise Refusal(400, f"the form has more than {_MOST_FIELDS} fields; send pictures only")

    def _on_end(self) -> None:
        self._complete = True
