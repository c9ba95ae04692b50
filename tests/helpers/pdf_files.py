"""PDF files with white boxes on black pages, written by hand, and encrypted."""

import hashlib
from collections.abc import Sequence

_PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")  # of ISO 32000-1, 7.6.3.3
_ID = b"0123456789abcdef"
_ALLOWED = -4  # all that a reader may do

Box = tuple[float, float, float, float]


def pdf_file(
    pages: Sequence[Box], size: tuple[float, float] = (120, 80), password: str | None = None, ink: str = "1 g"
) -> bytes:
    """A PDF of black pages with a white box each.

    **Arguments:** `pages`: (left, top, right, bottom) in points from the top left; `size`: (width, height) in points;
    `password`: encrypts the file by RC4 of 40 bits; `ink`: the operator of the colour of the boxes.
    """
    width, height = size
    key, entry = (b"", "") if password is None else _lock(password.encode())
    kids = " ".join(f"{3 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] /MediaBox [0 0 {width} {height}] >>".encode(),
    ]
    for left, top, right, bottom in pages:
        content = (
            f"0 g 0 0 {width} {height} re f {ink} {left} {height - bottom} {right - left} {bottom - top} re f".encode()
        )
        number = len(objects) + 2
        if key:
            content = _rc4(hashlib.md5(key + number.to_bytes(3, "little") + b"\0\0").digest()[:10], content)
        objects.append(f"<< /Type /Page /Parent 2 0 R /Contents {number} 0 R >>".encode())
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content))
    file, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    rows = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {entry} >>\nstartxref\n{len(file)}\n%%EOF\n"
    return file + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}{trailer}".encode()


def _lock(password: bytes) -> tuple[bytes, str]:
    """The key and the entries of the trailer (ISO 32000-1, 7.6.3: revision 2)."""
    padded = (password + _PAD)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)
    key = hashlib.md5(padded + owner + _ALLOWED.to_bytes(4, "little", signed=True) + _ID).digest()[:5]
    user = _rc4(key, _PAD)
    entries = f"/O <{owner.hex()}> /U <{user.hex()}> /P {_ALLOWED}"
    return key, f"/Encrypt << /Filter /Standard /V 1 /R 2 {entries} >> /ID [<{_ID.hex()}> <{_ID.hex()}>]"


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i, j, out = 0, 0, bytearray()
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
