"""A Key Vault and a managed identity on loopback, over TLS, for the real clients of Azure.

It speaks as much of their REST interfaces as reading secrets takes, and misbehaves on demand.
"""

from sandbox.vault.certificates import ClientCertificate, client_certificate
from sandbox.vault.keyvault import KeyVault
from sandbox.vault.managed_identity import ManagedIdentity
from sandbox.vault.server import Running, vault

__all__ = ["ClientCertificate", "KeyVault", "ManagedIdentity", "Running", "client_certificate", "vault"]
