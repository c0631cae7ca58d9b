"""Dropdowns: the operations that fill them, for older designers and for newer ones."""

from tools.connector.schemas import Schema


def dropdown(operation_id: str, shown: str, *, within: str = "value", **parameters: str) -> Schema:
    """Return the extensions that fill a field with what a list operation answers.

    Args:
        operation_id: The operation.
        within: The property of its answer that is the list.
        shown: The property of an item that is both value and title.
        parameters: The parameters of the operation, each with the field its value comes from, such as ``body/source``.
    """
    older = {name: {"parameter": field.rpartition("/")[2]} for name, field in parameters.items()}
    newer = {name: {"parameterReference": field} for name, field in parameters.items()}
    return {
        "x-ms-dynamic-values": {
            "operationId": operation_id,
            "parameters": older,
            "value-collection": within,
            "value-path": shown,
            "value-title": shown,
        },
        "x-ms-dynamic-list": {
            "operationId": operation_id,
            "parameters": newer,
            "itemsPath": within,
            "itemValuePath": shown,
            "itemTitlePath": shown,
        },
    }
