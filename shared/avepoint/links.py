"""Next links: what they mean, and that they lead nowhere else. Pure.

They come in many shapes (AvePoint/cloud-api shows absolute, root-relative without the service prefix, relative, bare
tokens, JSON in a string). Whatever shape one has, only its path and query are used, on the origin of the base URL.
"""

import json
import re
from urllib.parse import quote, urljoin, urlsplit

from shared.errors import BrokenChain

LINK_CEILING = 16_384

_IN_URLS = frozenset(map(chr, range(0x21, 0x7F))) - {"\\"}
_UNENCODED = re.compile(r"[ \x80-\ud7ff\ue000-\U0010ffff]")
"""What every client encodes by itself where a server has not; a surrogate cannot be encoded."""
_ABSOLUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def follow(link: str, current: str, *, base_url: str, token_parameter: str | None) -> str:
    """Return the URL a next link means, on the origin of ``base_url`` whatever the link says.

    Args:
        link: As the server sent it, in any shape.
        current: URL of the page that held the link.
        token_parameter: Query parameter for a bare token, which is taken as URL-encoded already, or a JSON document,
            which is not.

    Raises:
        BrokenChain: The link leads to another origin, or cannot be understood.
    """
    link = unwrapped(link)
    is_json = link.startswith("{")
    if not is_json:
        link = _UNENCODED.sub(lambda found: quote(found.group()), link)
    if len(link) > LINK_CEILING or not (link.isprintable() if is_json else _IN_URLS.issuperset(link)):
        raise BrokenChain("the next link is too long or has characters that no URL has")
    if not _is_token(link):
        whole = _ABSOLUTE.match(link) or link.startswith("?")
        return _pinned(_joined(current, link) if whole else _rebuilt(link, current), base_url)
    if token_parameter is None:
        raise BrokenChain(
            "the next link is a bare token, and the catalogue names no parameter for it",
            remedy="Ask AvePoint support which parameter takes it, and add it to the catalogue as 'token'.",
        )
    token = quote(link, safe="") if is_json else _STRAY_PERCENT.sub("%25", quote(link, safe="%"))
    return _pinned(with_parameter(current, token_parameter, token), base_url)


def is_bare_token(link: str) -> bool:
    """Whether a next link is no address but a value for a parameter."""
    return _is_token(unwrapped(link))


def _is_token(link: str) -> bool:
    return not (_ABSOLUTE.match(link) or link.startswith(("?", "/")) or ("?" in link and not link.startswith("{")))


def unwrapped(link: str) -> str:
    """Return a link that some services write as a JSON string inside the JSON string."""
    if link.startswith('"') and link.endswith('"'):
        try:
            return str(json.loads(link))
        except ValueError:
            return link
    return link


def _rebuilt(link: str, current: str) -> str:
    """Return a link without host: its path may lack the prefix of the service, which the current path has."""
    path, _, query = link.partition("?")
    current_path = urlsplit(current).path
    if current_path.endswith(f"/{path.lstrip('/')}"):
        path = current_path
    return _joined(current, f"{path}?{query}")


def _joined(current: str, link: str) -> str:
    try:
        return urljoin(current, link)
    except ValueError as error:
        raise BrokenChain(f"the next link is not a URL: {error}") from error


def with_parameter(url: str, name: str, value: str) -> str:
    """``url`` with the query parameter ``name`` set to ``value``, which is taken as URL-encoded already."""
    parts = urlsplit(url)
    kept = [pair for pair in parts.query.split("&") if pair and pair.partition("=")[0] != name]
    return parts._replace(query="&".join([*kept, f"{name}={value}"]), fragment="").geturl()


def _pinned(url: str, base_url: str) -> str:
    """``url`` on the origin of ``base_url``; only its path and query are taken over."""
    try:
        parts, base = urlsplit(url), urlsplit(base_url)
        same = (parts.scheme, parts.hostname, _port(parts.scheme, parts.port)) == (
            base.scheme,
            base.hostname,
            _port(base.scheme, base.port),
        )
    except ValueError as error:
        raise BrokenChain(f"the next link is not a URL: {error}") from error
    if not same or "@" in parts.netloc:
        raise BrokenChain(
            "the next link leads to another origin",
            remedy="The token is sent to no other host: check the AVEPOINT_*_URL settings, then ask AvePoint support.",
        )
    return base._replace(path=parts.path or "/", query=parts.query, fragment="").geturl()


def _port(scheme: str, port: int | None) -> int | None:
    return {"http": 80, "https": 443}.get(scheme) if port is None else port


def same_origin(url: str, base_url: str) -> bool:
    """Whether a stored URL still lies on the origin of ``base_url``."""
    try:
        return _pinned(url, base_url) == url
    except BrokenChain:
        return False
