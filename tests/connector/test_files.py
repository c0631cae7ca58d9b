"""The connector's files are what the functions and models say, and two validators that share no code accept them."""

import subprocess
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator

from sandbox.azurite import node
from sandbox.processes import ROOT
from tests.connector.reading import SWAGGER, SWAGGER_FILE
from tools.connector.files import FILES, text

SWAGGER_PARSER = (
    "require('@apidevtools/swagger-parser').validate(process.argv[1])"
    ".catch(error => { console.error(error.message); process.exit(1) })"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_up_to_date(path: Path) -> None:
    assert path.read_text() == text(FILES[path]()), "run make docs"


def test_the_validator_in_python_accepts_the_definition() -> None:
    OpenAPIV2SpecValidator(SWAGGER).validate()


def test_the_validator_in_javascript_accepts_the_definition() -> None:
    done = subprocess.run(  # noqa: S603 - our own Node, our own file
        [node(), "-e", SWAGGER_PARSER, SWAGGER_FILE], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
