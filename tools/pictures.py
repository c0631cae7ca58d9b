"""``python -m tools.pictures``: take the pictures of the pages in headless Chromium, from two nights of the sandbox."""

import asyncio
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from playwright.async_api import async_playwright

from sandbox.stack import running_stack
from tools.arguments import no_options

_DOCS = Path(__file__).parents[1] / "docs"
_DATASETS = ["enpower-environments", "enpower-powerapps", "enpower-cloudflows", "enpower-connections"]
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
_VIEWS = {"status-page.png": "overview", "status-page-report.png": "report/without-active-owner"}


async def _main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not on the path: the pictures are taken in it")
    with TemporaryDirectory() as logs:
        async with running_stack(Path(logs), items=300, latency_ms=0) as stack:
            async with httpx.AsyncClient(base_url=f"{stack.host.url}/api/", timeout=60) as client:
                client.headers["x-functions-key"] = stack.host.key
                for night in (0, 1):
                    await client.post(f"{stack.avepoint_url}/_sandbox/faults", json={"night": night})
                    await _harvest(client)
            await _take(stack.host.url, stack.host.key, chromium)


async def _harvest(client: httpx.AsyncClient) -> None:
    """Harvest, and wait until every table is that of the run."""
    started = await client.post("harvests", content=json.dumps({"source": "graph", "datasets": _DATASETS}))
    run_id = started.json()["runId"]
    while True:
        listed = (await client.get("datasets", params={"source": "graph"})).json()["value"]
        if all(one["table"]["runId"] == run_id for one in listed if one["name"] in _DATASETS):
            return
        await asyncio.sleep(0.5)


async def _take(url: str, key: str, chromium: str) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = await browser.new_page(viewport={"width": 1100, "height": 620})
        await page.goto(f"{url}/api/status")
        await page.fill("#key", key)
        await page.click("#entrance button")
        for name, view in _VIEWS.items():
            await page.evaluate(f"location.hash = '#{view}'")
            await page.wait_for_selector("main:not([aria-busy]) table")
            if view == "overview":  # what was harvested comes first
                await page.get_by_role("button", name="Age").click()
            await page.screenshot(path=_DOCS / name)
        await browser.close()


if __name__ == "__main__":
    no_options(__doc__)
    asyncio.run(_main())
