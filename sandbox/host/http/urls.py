"""What Kestrel and ASP.NET make of the target of a request line, as recorded. Pure."""

import re
from typing import Final
from urllib.parse import quote

ESCAPES: Final = re.compile("(?:%[0-9A-Fa-f]{2})+")
ESCAPES_BUT_SLASHES: Final = re.compile("(?:%(?!2[Ff])[0-9A-Fa-f]{2})+")
AUTHORITY: Final = re.compile(r"[A-Za-z0-9._~%!$&'()*+,;=:@\[\]-]+")
TO_ESCAPE: Final = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~/!$&'()*+,;=:@-]")


def origin_form(method: str, target: str, host: str) -> str | int:
    """Return the target as a path, or the status with which Kestrel refuses it, such as one that names another host."""
    if target == "*":
        return "/" if method == "OPTIONS" else 405
    if method != "CONNECT" and AUTHORITY.fullmatch(target):
        return 405
    path = target.removeprefix(f"http://{host}")
    return path if path.startswith("/") else 400


def resolve_path(raw: str) -> str:
    """Return the path of a URL with its escapes decoded, but for slashes, and then without dots.

    Raises:
        ValueError: A null character is in it.
    """
    path = ESCAPES_BUT_SLASHES.sub(lambda run: _decode(run[0]), raw)
    if "\0" in path:
        raise ValueError("the path contains a null character")
    return _without_dots(path)


def encoded_url(origin: str, path: str, query: str) -> str:
    """Return the URL that a function sees: the resolved path, escaped again, and the query as it came."""
    escaped = TO_ESCAPE.sub(lambda one: one[0] if len(one[0]) > 1 else quote(one[0], safe=""), path)
    return f"{origin}{escaped}{'?' if query else ''}{query.replace('#', '%23')}"


def query_values(query: str) -> dict[str, str]:
    """Return the query that a function sees: names that differ in case are one, spelt as the last; no empty values."""
    values: dict[str, tuple[str, list[str]]] = {}
    for pair in query.split("&"):
        name, _, value = (_decode_form(part) for part in pair.partition("="))
        earlier = values.get(name.lower(), (name, []))[1]
        values[name.lower()] = name, [*earlier, value] if value else earlier
    return {name: ",".join(found) for name, found in values.values() if found}


def _decode_form(text: str) -> str:
    return ESCAPES.sub(lambda run: _decode(run[0]), text.replace("+", " "))


def _decode(escapes: str) -> str:
    """Return the text of escapes; those that are not UTF-8 stay as they are."""
    decoded = ""
    while escapes:
        raw = bytes.fromhex(escapes.replace("%", ""))
        try:
            return decoded + raw.decode()
        except UnicodeDecodeError as error:
            decoded += raw[: error.start].decode() + escapes[3 * error.start : 3 * error.end]
            escapes = escapes[3 * error.end :]
    return decoded


def _without_dots(path: str) -> str:
    """Return the path after "remove dot segments" of RFC 3986, section 5.2.4."""
    *parts, last = path.removeprefix("/").split("/")
    kept: list[str] = []
    for part in (*parts, last):
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join([*kept, *([""] if last in {".", ".."} else [])])
