"""The app settings: one typed object, read once, every fault named by its app setting."""

from shared.settings.command import CANNOT_TELL, CommandResult, end_unread, read_day, run_command, say
from shared.settings.loading import load_settings, load_storage_settings
from shared.settings.local import add_settings_option, use_local_settings
from shared.settings.model import DEFAULT_SECRET_NAME, Credential, Settings
from shared.settings.storage import StorageSettings
from shared.settings.values import is_loopback

__all__ = [
    "CANNOT_TELL",
    "DEFAULT_SECRET_NAME",
    "CommandResult",
    "Credential",
    "Settings",
    "StorageSettings",
    "add_settings_option",
    "end_unread",
    "is_loopback",
    "load_settings",
    "load_storage_settings",
    "read_day",
    "run_command",
    "say",
    "use_local_settings",
]
