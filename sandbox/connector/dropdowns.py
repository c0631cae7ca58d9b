"""Dropdowns: the operations that fill them, for older designers and for newer ones."""

from sandbox.connector.schemas import Schema


def dropdown(operation_id: str, shown: str, **parameters: str) -> Schema:
    """The extensions that fill a field with what a list operation answers.

    Args:
        operation_id: The operation; it answers a list in ``value``.
        shown: The property of an item that is both value and title.
        parameters: The parameters of the operation, each with the field its value comes from, such as ``body/source``.
    """
    older = {name: {"parameter": field.rpartition("/")[2]} for name, field in parameters.items()}
    newer = {name: {"parameterReference": field} for name, field in parameters.items()}
    return {
        "x-ms-dynamic-values": {
            "operationId": operation_id,
            "parameters": older,
            "value-collection": "value",
            "value-path": shown,
            "value-title": shown,
        },
        "x-ms-dynamic-list": {
            "operationId": operation_id,
            "parameters": newer,
            "itemsPath": "value",
            "itemValuePath": shown,
            "itemTitlePath": shown,
        },
    }
