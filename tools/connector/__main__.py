"""``python -m tools.connector``: write the connector."""

from tools.arguments import no_options
from tools.connector.files import FILES, SOLUTION, text
from tools.connector.solution import solution

no_options(__doc__)
for path, document in FILES.items():
    path.write_text(text(document()))
SOLUTION.write_bytes(solution())
