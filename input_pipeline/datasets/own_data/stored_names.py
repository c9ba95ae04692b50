"""From the places where labelling tools store pictures to the files that a person has."""

import posixpath
import re
import urllib.parse

_LOCAL = re.compile(r"/local-files/?\?(?:.*&)?d=([^&]+)")
_ADDRESS = re.compile(r"(?:https?|s3|gs|azure-blob)://", re.IGNORECASE)
_UPLOAD = re.compile(r"(?:/data/upload/|(?:^|/)upload/\d+/)[^/]+$")
_PREFIX = re.compile(r"[0-9a-f]{4,32}-(?=.)")
# In a path that is an ordinary one otherwise; without a letter it may be a date.
_EXPORTED = re.compile(r"(?=\d*[a-f])[0-9a-f]{8}-(?=.)")


def stored_names(place: str) -> tuple[str, ...]:
    """The names that a picture may have in a person's folder, the likeliest first; none for an ordinary path.

    Label Studio writes the path in its own folder, `/data/upload/1/8ab3f7c2-img_1.jpg`, in which it has put letters
    before the name; or the path in a folder of the person, `/data/local-files/?d=photos/img_1.jpg`. It exports pictures
    with these letters before their names. Other places are addresses of the web or of a cloud's storage.

    **Arguments:** `place`: a picture as the labels name it, with `/` between folders.
    """
    if found := _LOCAL.search(place):
        path = urllib.parse.unquote(found[1])
        return tuple(dict.fromkeys((path.lstrip("/"), posixpath.basename(path))))
    folder, name = posixpath.split(place)
    if _UPLOAD.search(place):
        return tuple(dict.fromkeys((name, _PREFIX.sub("", name, count=1))))
    if _ADDRESS.match(place):
        return (posixpath.basename(re.split("[?#]", place)[0]),)
    if _EXPORTED.match(name):
        bare = _EXPORTED.sub("", name, count=1)
        return tuple(dict.fromkeys((place, posixpath.join(folder, bare), bare)))
    return ()
