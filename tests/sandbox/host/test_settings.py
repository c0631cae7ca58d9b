from datetime import timedelta
from pathlib import Path

import pytest

from sandbox.host.errors import StartError
from sandbox.host.http.keys import own_keys
from sandbox.host.settings import Connection, HostJson, azure_pace, connection, host_id, invisibility_seconds, resolve
from sandbox.processes import ROOT


def read(path: Path, text: str) -> HostJson:
    (path / "host.json").write_text(text)
    return HostJson.read(path)


def test_the_defaults_are_those_of_azure(tmp_path: Path) -> None:
    host = read(tmp_path, '{"version": "2.0"}')
    queues = host.extensions.queues
    assert (queues.batch_size, queues.new_batch_threshold, queues.max_dequeue_count) == (16, 8, 5)
    assert (queues.visibility_timeout, queues.message_encoding) == (timedelta(0), "base64")
    assert (host.extensions.http.route_prefix, host.function_timeout) == ("api", None)


def test_the_host_json_of_this_project_is_read() -> None:
    host = HostJson.read(ROOT)
    queues = host.extensions.queues
    assert host.function_timeout == timedelta(minutes=10)
    assert queues.batch_size + queues.new_batch_threshold == 8
    assert queues.visibility_timeout == timedelta(seconds=10)


def test_a_function_timeout_of_minus_one_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, '{"version": "2.0", "functionTimeout": "-1"}').function_timeout is None


@pytest.mark.parametrize("text", ["", "[]", '{"version": "1.0"}', '{"version": "2.0", "functionTimeout": "long"}'])
def test_a_wrong_host_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(StartError, match=r"host\.json is wrong"):
        read(tmp_path, text)


def test_a_missing_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"host\.json cannot be read"):
        HostJson.read(tmp_path)


def test_placeholders_are_replaced_wherever_they_stand() -> None:
    assert resolve("%A%-x-%B%", {"A": "1", "B": "2"}, "f") == "1-x-2"


@pytest.mark.parametrize(
    ("name", "environ", "expected"),
    [
        ("S", {"S": "text"}, Connection(connection_string="text")),
        ("S", {"AzureWebJobsS": "text"}, Connection(connection_string="text")),
        ("", {"AzureWebJobsStorage": "text"}, Connection(connection_string="text")),
        ("S", {"S__queueServiceUri": "u", "S__clientId": "c"}, Connection(queue_service_uri="u", client_id="c")),
    ],
)
def test_connections_are_looked_up_as_azure_does(name: str, environ: dict[str, str], expected: Connection) -> None:
    assert connection(name, environ, "f") == expected


@pytest.mark.parametrize("text", ["soon", "0", "-1", "1.5", "", "²"])
def test_a_wrong_invisibility_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="SANDBOX_INVISIBILITY_SECONDS"):
        invisibility_seconds({"SANDBOX_INVISIBILITY_SECONDS": text})


def test_a_dequeued_message_is_hidden_for_ten_minutes_unless_told_otherwise() -> None:
    assert invisibility_seconds({}) == 600
    assert invisibility_seconds({"SANDBOX_INVISIBILITY_SECONDS": "2"}) == 2


def test_the_pace_of_azure_is_kept_when_told_so() -> None:
    assert [azure_pace({}), azure_pace({"SANDBOX_AZURE_PACE": "false"})] == [False, False]
    assert azure_pace({"SANDBOX_AZURE_PACE": "true"})
    with pytest.raises(StartError, match="SANDBOX_AZURE_PACE must be true or false, not 'yes'"):
        azure_pace({"SANDBOX_AZURE_PACE": "yes"})


@pytest.mark.parametrize("text", ["k", "[]", '{"sweep": 1}', '{"list_runs": ""}'])
def test_keys_of_functions_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(StartError, match="SANDBOX_FUNCTION_KEYS must be a JSON object"):
        own_keys({"SANDBOX_FUNCTION_KEYS": text})


def test_hosts_of_one_app_have_one_id_in_common(tmp_path: Path) -> None:
    assert host_id({}, tmp_path) == host_id({}, tmp_path) != host_id({}, tmp_path / "other")
    assert host_id({"AzureFunctionsWebHost__hostid": "mine"}, tmp_path) == "mine"
