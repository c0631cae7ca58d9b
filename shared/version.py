"""The version of the app, as CHANGELOG.md knows it."""

VERSION = "0.1.0"
