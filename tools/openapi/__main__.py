"""``python -m tools.openapi``: write the description for programs, once for the pages and once for the app."""

from tools.arguments import no_options
from tools.openapi.document import FILES, openapi, text

no_options(__doc__)
for path in FILES:
    path.write_text(text(openapi()))
