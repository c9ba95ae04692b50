"""From the places where labelling tools store pictures to the files that a person has."""

import posixpath
import re
import urllib.parse

_LOCAL = re.compile(r"/local-files/?\?(?:.*&)?d=([^&]+)")
_ADDRESS = re.compile(r"(?:https?|s3|gs|azure-blob)://[^?#]*?([^/?#]+)(?:[?#].*)?", re.IGNORECASE)
_UPLOAD = re.compile(r"(?:^|/)upload/\d+/([^/]+)")
_EXPORTED = re.compile(r"(?:^|/)images/((?=\d*[a-f])[0-9a-f]{8}-[^/]+)")
_PREFIX = re.compile(r"[0-9a-f]{4,32}-(?=.)")


def stored_names(place: str) -> tuple[str, ...]:
    """The names that a picture may have in a person's folder, the likeliest first; none for an ordinary path.

    Label Studio writes the path in its own folder, `/data/upload/1/8ab3f7c2-img_1.jpg`, in which it has put letters
    before the name; or the path in a folder of the person, `/data/local-files/?d=photos/img_1.jpg`. Other places are
    addresses of the web or of a cloud's storage.

    **Arguments:** `place`: a picture as the labels name it, with `/` between folders.
    """
    if found := _LOCAL.search(place):
        path = urllib.parse.unquote(found[1])
        return tuple(dict.fromkeys((path.lstrip("/"), posixpath.basename(path))))
    for pattern in (_UPLOAD, _EXPORTED):
        if found := pattern.search(place):
            return tuple(dict.fromkeys((found[1], _PREFIX.sub("", found[1], count=1))))
    found = _ADDRESS.fullmatch(place)
    return (found[1],) if found else ()
