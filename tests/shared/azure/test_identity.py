"""How the Azure clients reach Azure: through the proxies of the environment, and past them where it says so."""

import asyncio
import ssl

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob.aio import BlobServiceClient

from shared.azure.identity import azure_transport


@pytest.mark.parametrize(("bypass", "asked"), [("", True), ("127.0.0.1", False)])
async def test_a_proxy_of_the_environment_is_used_unless_it_is_to_be_bypassed(
    monkeypatch: pytest.MonkeyPatch, bypass: str, *, asked: bool
) -> None:
    heads: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    for name, value in (("http_proxy", f"http://user:word@127.0.0.1:{port}"), ("no_proxy", bypass)):
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.upper(), value)
    transport = azure_transport(ssl.create_default_context())
    async with (
        proxy,
        BlobServiceClient("http://127.0.0.1:1/account", transport=transport, retry_total=0) as client,
    ):
        with pytest.raises(AzureError):
            await client.get_blob_client("container", "blob").download_blob()

    assert [head.startswith(b"GET http://127.0.0.1:1/account/") for head in heads] == ([True] if asked else [])
    assert all(b"Proxy-Authorization: Basic" in head for head in heads)
