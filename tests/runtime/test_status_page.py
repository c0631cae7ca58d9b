"""The status page in a real browser, against the app in the real runtime: it is read by people of every kind."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright

from functions.status import POLICY
from sandbox.azurite import Azurite
from sandbox.host.process import RunningHost
from sandbox.processes import ROOT
from shared.services import Services
from tests.conftest import Simulator, app_settings
from tests.require import require
from tests.runtime.conftest import built

APPS = "graph/enpower-powerapps"
WITHIN = 60_000
"""Milliseconds that a busy machine may take."""

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
VIOLATIONS = "axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))"
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = pytest.mark.slow


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    chromium = require("chromium", why="the status page is looked at in it; Debian's package chromium has it")
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        await opened.close()


@pytest.fixture
async def harvested(client: httpx.AsyncClient, services: Services, avepoint: Simulator) -> None:  # noqa: ARG001 - empties storage
    """Two nights of the apps, with a table that has changes."""
    for night in (0, 1):
        avepoint.avepoint.change({"items": {"enpower-powerapps": 40}, "night": night})
        await built(client, "enpower-powerapps")


async def entered(browser: Browser, host: RunningHost, *, width: int = 1280, dark: bool = False) -> Page:
    """The page, once its reader has given the key."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page = await context.new_page()
    page.set_default_timeout(WITHIN)
    await page.goto(f"{host.url}/api/status")
    await page.fill("#key", host.key)
    await page.click("#entrance button")
    await page.wait_for_selector("main table")
    return page


async def answering(page: Page, path: str, body: str, *, status: int = 200) -> None:
    """Let a route, as the page asks it, answer what is told here."""
    address = re.compile(rf"/api/{re.escape(path)}$")
    await page.route(address, lambda route: route.fulfill(status=status, body=body, content_type="application/json"))


async def view(page: Page, name: str) -> None:
    await page.evaluate(f"location.hash = '#{name}'")
    await page.wait_for_selector("main:not([aria-busy]) h2")


async def test_the_page_and_its_files_hold_no_data_and_allow_nothing_else(client: httpx.AsyncClient) -> None:
    anonymous = httpx.AsyncClient(base_url=client.base_url)
    async with anonymous:
        for path in ("status", "status/status.js", "status/status.css", "status/uplot.js"):
            answer = await anonymous.get(path, params={"probe": "1"})
            assert answer.status_code == httpx.codes.OK
            assert answer.headers["content-security-policy"] == POLICY
        assert (await anonymous.head("status")).status_code == httpx.codes.OK
        led = await anonymous.get("status/", follow_redirects=False)
        assert (led.status_code, led.headers["location"].endswith("/api/status")) == (308, True)
        unknown = await anonymous.get("status/status.jss")
        assert (unknown.status_code, "status.js" in unknown.json()["error"]["message"]) == (404, True)


@pytest.mark.usefixtures("harvested")
async def test_every_view_shows_what_the_routes_say(browser: Browser, host: RunningHost) -> None:
    page = await entered(browser, host)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    row = page.locator("main tr", has_text=APPS)
    assert "complete" in await row.inner_text()
    await row.get_by_role("link").click()
    await page.wait_for_selector(".chart canvas")
    changes = page.locator("table", has=page.locator("caption", has_text="Changes"))
    assert await changes.locator("tbody tr").count() > 0
    await view(page, "runs")
    assert await page.locator("main h3").count() >= 2
    await view(page, "reports")
    assert await page.locator("main dt").count() >= 10
    await view(page, "health")
    assert "storage" in await page.locator("main").inner_text()
    await view(page, "operations")
    assert "Nothing is uncertain" in await page.locator("main").inner_text()
    assert faults == []
    assert host.key not in page.url


@pytest.mark.usefixtures("harvested")
async def test_rows_are_sorted_and_searched(browser: Browser, host: RunningHost) -> None:
    page = await entered(browser, host)
    await page.get_by_role("searchbox").fill("enpower-powerapps")
    await page.wait_for_function("document.querySelectorAll('main tbody tr').length <= 2")
    await page.get_by_role("searchbox").fill("")
    items = page.get_by_role("button", name="Items")
    await items.click()
    await items.click()
    assert await page.locator("th[aria-sort=descending]").inner_text() == "Items"
    assert APPS in await page.locator("main tbody tr").first.inner_text()


async def test_a_wrong_key_asks_for_another_and_says_why(browser: Browser, host: RunningHost) -> None:
    page = await at_entrance(browser, host, "reports")
    assert not await page.get_by_role("alert").is_visible()
    for key in ("wrong", "ключ"):
        await given(page, key)
        await page.wait_for_selector("text=The app does not accept this key", timeout=WITHIN)
        await page.wait_for_function("document.activeElement.id === 'key'", timeout=WITHIN)
    await given(page, host.key)
    await page.wait_for_selector("main dt", timeout=WITHIN)
    assert not await page.get_by_role("alert").is_visible()


async def test_a_view_that_the_key_does_not_open_says_so(browser: Browser, host: RunningHost) -> None:
    """A key of single functions opens some views only, and is still good for them."""
    page = await reading(browser, host)
    await page.route("**/api/operations*", lambda route: route.fulfill(status=401))
    await page.evaluate("location.hash = '#operations'")
    await page.wait_for_selector("text=another view", timeout=WITHIN)
    await view(page, "reports")


@pytest.mark.parametrize("other", ["", "<html>Sign in to the proxy</html>"], ids=["nobody", "a proxy"])
async def test_an_app_that_does_not_answer_is_named(browser: Browser, host: RunningHost, other: str) -> None:
    page = await reading(browser, host)
    await page.route(
        "**/api/runs*",
        lambda route: route.fulfill(body=other, content_type="text/html") if other else route.abort(),
    )
    await page.evaluate("location.hash = '#runs'")
    await page.wait_for_selector("main >> text=Check the network", timeout=WITHIN)
    await view(page, "overview")
    assert "Check the network" in await page.locator("main").inner_text()  # what waits is not known


async def test_a_view_is_announced_by_its_heading(browser: Browser, host: RunningHost) -> None:
    page = await reading(browser, host)
    for name, heading in (("runs", "Runs"), ("reports", "Reports")):
        await view(page, name)
        await page.wait_for_function(
            "told => document.activeElement.textContent === told && document.title.startsWith(told)", arg=heading
        )
    assert await page.locator("main").get_attribute("aria-live") is None
    await page.route("**/api/runs*", lambda _: None)
    await page.evaluate("location.hash = '#runs'")
    await page.wait_for_selector("[role=status] >> text=Loading", timeout=WITHIN)


async def at_entrance(browser: Browser, host: RunningHost, name: str) -> Page:
    """The page at a view that its reader had the address of, where it asks for the key."""
    page = await browser.new_page()
    await page.goto(f"{host.url}/api/status#{name}")
    await page.wait_for_selector("#entrance:not([hidden])", timeout=WITHIN)
    return page


async def given(page: Page, key: str) -> None:
    await page.fill("#key", key)
    await page.click("#entrance button")


async def reading(browser: Browser, host: RunningHost) -> Page:
    """The page, once its reader has given the key, with or without data."""
    page = await at_entrance(browser, host, "reports")
    await given(page, host.key)
    await page.wait_for_selector("main dt", timeout=WITHIN)
    return page


async def test_what_fails_after_the_key_was_given_is_shown(browser: Browser, host: RunningHost) -> None:
    page = await at_entrance(browser, host, "reports")
    away = json.dumps({"error": {"message": "Storage is away."}})
    await answering(page, "reports", away, status=httpx.codes.SERVICE_UNAVAILABLE)
    await given(page, host.key)
    await page.wait_for_selector("text=Storage is away.", timeout=WITHIN)


async def test_a_chart_is_whole_after_the_key_was_given(browser: Browser, host: RunningHost) -> None:
    page = await at_entrance(browser, host, f"dataset/{APPS}")
    days = [{"day": f"2026-01-0{day}", "value": None, "items": day} for day in (1, 2, 3)]
    await answering(page, f"datasets/{APPS}/history?days=90", json.dumps({"value": days}))
    await given(page, host.key)
    await page.wait_for_selector(".chart canvas", timeout=WITHIN)
    drawn = await page.locator(".chart canvas").bounding_box()
    assert drawn is not None
    assert drawn["width"] > 600


async def test_a_chart_of_one_day_shows_this_day(browser: Browser, host: RunningHost) -> None:
    page = await reading(browser, host)
    day = {"day": "2026-01-01", "value": None, "items": 1}
    await answering(page, f"datasets/{APPS}/history?days=90", json.dumps({"value": [day]}))
    await page.evaluate("uPlot = new Proxy(uPlot, {construct: (made, given) => (drawn = new made(...given))}), 0")
    await view(page, f"dataset/{APPS}")
    await page.wait_for_selector(".chart canvas", timeout=WITHIN)
    await page.wait_for_function("window.drawn?.scales.x.max", timeout=WITHIN)
    assert await page.evaluate("drawn.scales.x.max - drawn.scales.x.min") <= 7 * 86_400


async def test_the_link_to_the_content_stays_in_its_view(browser: Browser, host: RunningHost) -> None:
    page = await reading(browser, host)
    await page.locator("a.skip").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_function("document.activeElement.closest('main')", timeout=WITHIN)
    assert page.url.endswith("#reports")
    await page.keyboard.press("Tab")
    assert "#report/" in str(await page.evaluate("document.activeElement.href"))


@pytest.mark.usefixtures("harvested")
async def test_a_parameter_says_what_it_means_without_a_mouse(browser: Browser, host: RunningHost) -> None:
    page = await reading(browser, host)
    await view(page, "report/growth")
    assert "days" in await page.locator("main form label").inner_text()
    assert "The number of days." in await page.locator("main form label .faint").inner_text()


@pytest.mark.parametrize("name", ["report/%", "%"])
async def test_an_address_that_was_not_copied_whole_shows_something(
    browser: Browser, host: RunningHost, name: str
) -> None:
    page = await at_entrance(browser, host, name)
    await given(page, host.key)
    await page.wait_for_selector("main h2", timeout=WITHIN)


async def test_a_list_that_goes_on_says_so(browser: Browser, host: RunningHost) -> None:
    page = await reading(browser, host)
    change: dict[str, object] = {"change": "added", "key": "a", "fields": [], "before": None, "after": {}}
    goes_on = {"nextLink": f"{host.url}/api/more"}
    await answering(page, f"datasets/{APPS}/changes?top=100", json.dumps({"value": [change], **goes_on}))
    await view(page, f"dataset/{APPS}")
    assert "1 row. The list has more." in await page.locator("main").inner_text()
    for path in ("operations", "operations?uncertain=true"):
        await answering(page, path, json.dumps({"value": [], **goes_on}))
    await view(page, "operations")
    shown = await page.locator("main").inner_text()
    assert "Nothing is uncertain" not in shown
    assert "Nobody has submitted" not in shown


async def test_a_table_that_is_not_there_is_not_called_current(browser: Browser, host: RunningHost) -> None:
    page = await reading(browser, host)
    table = {"runId": None, "version": None, "rows": None, "state": "current", "reason": None}
    datasets = [
        {"source": "graph", "name": name, "enabled": True, "table": table | {"runId": run}}
        for name, run in (("new", None), ("old", "20260101T000000Z-graph"))
    ]
    await answering(page, "datasets", json.dumps({"value": datasets}))
    await view(page, "overview")
    shown = {name: await page.locator("main tr", has_text=f"graph/{name}").inner_text() for name in ("new", "old")}
    assert ["current" in text for text in shown.values()] == [False, True]


async def test_a_large_number_is_shown_exactly(browser: Browser, host: RunningHost) -> None:
    page = await reading(browser, host)
    change = '{"change": "changed", "key": "a", "fields": ["n"], "before": {"n": 9007199254740993}, "after": {"n": 1}}'
    await answering(page, f"datasets/{APPS}/changes?top=100", f'{{"value": [{change}]}}')
    await view(page, f"dataset/{APPS}")
    assert '{"n":9007199254740993}' in await page.locator("main").inner_text()


@pytest.mark.usefixtures("harvested")
@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing(browser: Browser, host: RunningHost, width: int, dark: bool) -> None:  # noqa: FBT001 - a parameter
    page = await entered(browser, host, width=width, dark=dark)
    for name in ("overview", f"dataset/{APPS}", "reports", "report/not-used", "runs", "operations", "health"):
        await view(page, name)
        await page.evaluate(AXE.read_text())  # a script tag would break the policy of the page
        found = await page.evaluate(
            "axe.run().then(({violations}) => violations.map(({id, nodes}) => [id, nodes[0].html]))"
        )
        assert found == [], name
        wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide, name


@pytest.mark.usefixtures("harvested")
async def test_a_copy_needs_neither_app_nor_network(
    browser: Browser, azurite: Azurite, simulator: Simulator, tmp_path: Path
) -> None:
    out = tmp_path / "status.html"
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "shared.tables.page", "--out", str(out)),
        cwd=ROOT,
        env={**os.environ, **app_settings(azurite, simulator)},
        stdout=asyncio.subprocess.PIPE,
    )
    await child.communicate()
    assert child.returncode == 0
    context = await browser.new_context(offline=True)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.startswith("http") else None)
    await page.goto(out.as_uri())
    await page.wait_for_selector("main table", timeout=WITHIN)
    assert APPS in await page.locator("main").inner_text()
    await view(page, f"dataset/{APPS}")
    await page.wait_for_selector(".chart canvas")
    for name in await page.locator("nav a").evaluate_all("links => links.map(({hash}) => hash.slice(1))"):
        await view(page, name)
        assert "copy does not hold" not in await page.locator("main").inner_text(), name
    assert asked == []


@pytest.mark.usefixtures("harvested")
async def test_what_comes_from_outside_is_shown_as_text(browser: Browser, host: RunningHost) -> None:
    page = await entered(browser, host)
    spelt = json.dumps({"value": [{"source": "graph", "name": "<img src=x onerror=alert(1)>", "enabled": True}]})
    await page.route("**/api/datasets", lambda route: route.fulfill(body=spelt, content_type="application/json"))
    await view(page, "reports")
    await view(page, "overview")
    assert await page.locator("main img").count() == 0
    assert "<img src=x" in await page.locator("main").inner_text()
