"""Where AvePoint's services live: data centres, identity environments, and the one Elements host.

Source: AvePoint/cloud-api, ``docs/docs/Overview.md`` and ``register-app.md`` (July 2026); the legacy EnPower bases are
those of the older EnPower Web API guide. The code ``fedramp`` is ours, since its host breaks the ``graph-{code}`` rule.
"""

from dataclasses import dataclass
from typing import Literal

type Source = Literal["enpower", "graph", "elements"]
SOURCES: tuple[Source, ...] = ("enpower", "graph", "elements")

type Registration = Literal["avepoint", "opus", "elements"]
"""Which app registration a request is made under."""

ELEMENTS_URL = "https://graph.avepointonlineservices.com"
OPUS_SCOPE = "records.readwrite.all"

_IDENTITY = {
    "commercial": "https://identity.avepointonlineservices.com",
    "usgov": "https://identity-gov.avepointonlineservices.com",
    "aos2": "https://identity-aos2.avepointonlineservices.com",
    "fedramp": "https://identity.online15.net",
}


@dataclass(frozen=True, slots=True)
class DataCenter:
    """One AvePoint data centre: its code, its region, and the origins of its services (no trailing slash)."""

    code: str
    region: str
    graph_url: str
    identity_url: str
    enpower_url: str | None
    """Base of the legacy EnPower Web API, ending in ``/smp``; ``None`` where none is documented."""


def _data_center(
    code: str, region: str, *, identity: str = "commercial", enpower: bool = True, graph_url: str = ""
) -> DataCenter:
    graph_url = graph_url or f"https://graph-{code}.avepointonlineservices.com"
    return DataCenter(code, region, graph_url, _IDENTITY[identity], f"{graph_url}/smp" if enpower else None)


DATA_CENTERS: dict[str, DataCenter] = {
    center.code: center
    for center in (
        _data_center("au", "Australia Southeast (Victoria)"),
        _data_center("sg", "Southeast Asia (Singapore)"),
        _data_center("ca", "Canada Central (Toronto)"),
        _data_center("ne", "North Europe (Ireland)"),
        _data_center("we", "West Europe (Netherlands)"),
        _data_center("fr", "France Central (Paris)"),
        _data_center("de", "Germany West Central (Frankfurt)"),
        _data_center("jp", "Japan West (Osaka)"),
        _data_center("kr", "Korea Central (Seoul)"),
        _data_center("ch", "Switzerland North (Zurich)"),
        _data_center("uk", "UK South (London)"),
        _data_center("us", "East US (Virginia)"),
        _data_center("uae", "United Arab Emirates (Dubai)", enpower=False),
        _data_center("za", "South Africa North (Johannesburg)", enpower=False),
        _data_center("qa", "Qatar Central (Doha)", enpower=False),
        _data_center("gov", "US Gov Virginia (Virginia)", identity="usgov"),
        _data_center("aos2", "AOS2", identity="aos2", enpower=False),
        _data_center(
            "fedramp",
            "FedRAMP Cloud",
            identity="fedramp",
            enpower=False,
            graph_url="https://graphusgovapi.online15.net",
        ),
        _data_center("gcp-au", "Google Cloud, Australia Southeast (Sydney)", enpower=False),
        _data_center("gcp-jp", "Google Cloud, Japan (Tokyo)", enpower=False),
        _data_center("gcp-us", "Google Cloud, East US (Moncks Corner)", enpower=False),
        _data_center("gcp-we", "Google Cloud, West Europe (Eemshaven)", enpower=False),
        _data_center("gcp-kr", "Google Cloud, South Korea (Seoul)", enpower=False),
    )
}
