"""What the host reads from host.json and from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sandbox.host.errors import StartError

INVISIBILITY_SETTING: Final = "SANDBOX_INVISIBILITY_SECONDS"
INVISIBILITY_SECONDS: Final = 600
PACE_SETTING: Final = "SANDBOX_AZURE_PACE"
HOST_ID_SETTING: Final = "AzureFunctionsWebHost__hostid"
DEFAULT_CONNECTION: Final = "AzureWebJobsStorage"
PLACEHOLDER: Final = re.compile(r"%([^%]+)%")


class _Section(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


class HttpOptions(_Section):
    """``extensions.http`` of host.json."""

    route_prefix: str = "api"


class QueueOptions(_Section):
    """``extensions.queues`` of host.json, with the defaults of Azure."""

    batch_size: int = Field(default=16, ge=1, le=32)
    new_batch_threshold: int = Field(default_factory=lambda options: int(options["batch_size"]) // 2, ge=0)
    max_dequeue_count: int = Field(default=5, ge=1)
    visibility_timeout: timedelta = timedelta(0)
    max_polling_interval: timedelta = timedelta(minutes=1)
    message_encoding: Literal["base64", "none"] = "base64"


class Extensions(_Section):
    http: HttpOptions = HttpOptions()
    queues: QueueOptions = QueueOptions()


class HostJson(_Section):
    """The part of host.json that has a meaning on this machine."""

    version: Literal["2.0"]
    function_timeout: Annotated[timedelta | None, BeforeValidator(lambda text: None if text == "-1" else text)] = None
    extensions: Extensions = Extensions()

    @classmethod
    def read(cls, app: Path) -> Self:
        """Read the host.json of the app in this directory.

        Raises:
            StartError: it is missing or wrong; the message names the fields.
        """
        path = app / "host.json"
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise StartError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            mistakes = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise StartError(f"{path} is wrong: {mistakes}") from error


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a storage account: a connection string, or the address of its queue service."""

    connection_string: str = ""
    queue_service_uri: str = ""
    client_id: str = ""


def host_id(environ: Mapping[str, str], app: Path) -> str:
    """Return what all hosts of one app have in common: a setting of Azure, else something made from its directory."""
    return environ.get(HOST_ID_SETTING) or sha256(str(app).encode()).hexdigest()[:32]


def is_disabled(function: str, environ: Mapping[str, str]) -> bool:
    """Return whether a setting of Azure switches this function off; on Linux it may have underscores in its name."""
    values = (environ.get(f"AzureWebJobs{mark}{function}{mark}Disabled", "") for mark in "._")
    return any(value == "1" or value.lower() == "true" for value in values)


def resolve(text: str, environ: Mapping[str, str], function: str) -> str:
    """Replace every ``%SETTING%`` by its value.

    Raises:
        StartError: a setting is missing; the message names it and the function.
    """

    def value(placeholder: re.Match[str]) -> str:
        setting = placeholder[1]
        if setting not in environ:
            raise StartError(
                f"function {function}: setting {setting} is missing, which its binding needs as %{setting}%"
            )
        return environ[setting]

    return PLACEHOLDER.sub(value, text)


def connection(name: str, environ: Mapping[str, str], function: str) -> Connection:
    """Look up the connection that a queue binding names, as Azure does: ``NAME``, ``AzureWebJobsNAME``, ``NAME__…``.

    Raises:
        StartError: there is none; the message names the setting and the function.
    """
    name = name or DEFAULT_CONNECTION
    if text := environ.get(name) or environ.get(f"AzureWebJobs{name}"):
        return Connection(connection_string=text)
    if uri := environ.get(f"{name}__queueServiceUri"):
        return Connection(queue_service_uri=uri, client_id=environ.get(f"{name}__clientId", ""))
    raise StartError(
        f"function {function}: setting {name} is missing, the connection of its queue"
        f" (a connection string, or {name}__queueServiceUri)"
    )


def invisibility_seconds(environ: Mapping[str, str]) -> int:
    """How long a dequeued message stays hidden: 10 minutes as in Azure, unless a setting shortens it.

    Raises:
        StartError: the setting is no whole number of seconds from 1 on.
    """
    text = environ.get(INVISIBILITY_SETTING, str(INVISIBILITY_SECONDS))
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise StartError(f"{INVISIBILITY_SETTING} must be a whole number of seconds from 1 on, not {text!r}")
    return int(text)


def azure_pace(environ: Mapping[str, str]) -> bool:
    """Return whether idle queues are asked as seldom as on Azure.

    Raises:
        StartError: the setting is neither ``true`` nor ``false``.
    """
    text = environ.get(PACE_SETTING, "false")
    if text not in {"true", "false"}:
        raise StartError(f"{PACE_SETTING} must be true or false, not {text!r}")
    return text == "true"
