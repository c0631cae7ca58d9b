"""The proxies of the environment (``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``)."""

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


class Proxies:
    """Which proxy to take for which address, by the environment as it is when this is made."""

    def __init__(self) -> None:
        self._proxies = getproxies()

    def proxy_for(self, url: str) -> str | None:
        """Return the URL of the proxy on the way to ``url``; ``None`` when there is none."""
        parts = urlsplit(url)
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all")
        if not proxy or proxy_bypass(parts.netloc):
            return None
        return proxy if "://" in proxy else f"http://{proxy}"
