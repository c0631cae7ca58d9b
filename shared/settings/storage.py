"""The app settings that say where things are stored: all that a command needs which asks AvePoint nothing."""

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from shared.settings.values import Url

_SECRET_PARTS = ("AccountKey=", "SharedAccessSignature=")


class StorageSettings(BaseModel):
    """The storage accounts, and whom the app trusts when it talks to them."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, allow_inf_nan=False)

    storage_connection_string: SecretStr | None = Field(
        None, alias="INVENTORY_STORAGE", description="a storage connection string"
    )
    storage_blob_url: Url | None = Field(
        None, alias="INVENTORY_STORAGE__blobServiceUri", description="https://{account}.blob.core.windows.net"
    )
    storage_queue_url: Url | None = Field(
        None, alias="INVENTORY_STORAGE__queueServiceUri", description="https://{account}.queue.core.windows.net"
    )
    storage_credential: Literal["managedidentity"] | None = Field(
        None, alias="INVENTORY_STORAGE__credential", description="'managedidentity', or nothing"
    )
    storage_client_id: str | None = Field(
        None, alias="INVENTORY_STORAGE__clientId", description="the client id of the managed identity, or nothing"
    )

    tables_connection_string: SecretStr | None = Field(
        None, alias="TABLES_STORAGE", description="a storage connection string, or nothing"
    )
    tables_blob_url: Url | None = Field(
        None, alias="TABLES_STORAGE__blobServiceUri", description="https://{account}.blob.core.windows.net, or nothing"
    )
    tables_credential: Literal["managedidentity"] | None = Field(
        None, alias="TABLES_STORAGE__credential", description="'managedidentity', or nothing"
    )
    tables_client_id: str | None = Field(
        None, alias="TABLES_STORAGE__clientId", description="the client id of the managed identity, or nothing"
    )
    ssl_cert_file: str | None = Field(None, alias="SSL_CERT_FILE", description="the path of a PEM bundle, or nothing")

    @property
    def has_tables_account(self) -> bool:
        """Whether the tables have a storage account of their own."""
        return self.tables_connection_string is not None or self.tables_blob_url is not None

    def secrets(self) -> Iterator[str]:
        """Yield the secrets among the settings: client secrets, and what opens a storage account."""
        for value in dict(self).values():
            if isinstance(value, SecretStr):
                whole = value.get_secret_value()
                yield whole
                yield from (part.partition("=")[2] for part in whole.split(";") if part.startswith(_SECRET_PARTS))
