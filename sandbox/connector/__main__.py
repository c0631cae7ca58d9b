"""``python -m sandbox.connector``: write the connector."""

from sandbox.connector.files import FILES, text

for path, document in FILES.items():
    path.write_text(text(document()))
