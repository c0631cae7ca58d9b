"""``apiProperties.json``: how a connection is made, and what the platform does to each call."""

from tools.connector.actions import ACTIONS
from tools.connector.routes import routes
from tools.connector.schemas import Schema

CLIENT_ID = "00000000-0000-0000-0000-000000000000"
"""Stands for the client id of the connector's app registration in Entra ID."""

RESOURCE = "api://00000000-0000-0000-0000-000000000000"
"""Stands for the application id URI of the function app's registration."""


OWNER = "avepoint-functions"
"""Stands for who publishes the connector and who runs what it calls."""


def properties() -> Schema:
    """Return the whole document."""
    return {
        "properties": {
            "publisher": OWNER,
            "stackOwner": OWNER,
            "iconBrandColor": "#1F6FB2",
            "capabilities": [],
            "connectionParameterSets": {
                "uiDefinition": {
                    "displayName": "Authentication type",
                    "description": "How you sign in to the function app; its setting AUTH_MODE decides it.",
                },
                "values": [_key(), _entra()],
            },
            "policyTemplateInstances": [_send_key(), _route_next_links(), _keep_state()],
        }
    }


def _key() -> Schema:
    hint = "A key of the function app: Function app, App keys, Host keys."
    parameter = {
        "type": "securestring",
        "uiDefinition": {
            "displayName": "Function key",
            "description": hint,
            "tooltip": hint,
            "schema": {"type": "securestring", "description": hint},
            "constraints": {"clearText": False, "required": "true", "tabIndex": 1},
        },
    }
    return _way_in("key", "Function key", "AUTH_MODE is key: a key of the function app.", {"api_key": parameter})


def _entra() -> Schema:
    hint = "Sign in with an account that has the necessary app roles."
    parameter = {
        "type": "oauthSetting",
        "oAuthSettings": {
            "identityProvider": "aad",
            "clientId": CLIENT_ID,
            "scopes": [],
            "redirectMode": "GlobalPerConnector",
            "properties": {"IsFirstParty": "False", "AzureActiveDirectoryResourceId": RESOURCE},
            "customParameters": {
                "loginUri": {"value": "https://login.microsoftonline.com"},
                "tenantId": {"value": "common"},
                "resourceUri": {"value": RESOURCE},
            },
        },
        "uiDefinition": {
            "displayName": "Sign in",
            "description": hint,
            "tooltip": hint,
            "constraints": {"required": "true"},
        },
    }
    return _way_in("entra", "Microsoft Entra ID", "AUTH_MODE is entra: your own account.", {"token": parameter})


def _way_in(name: str, title: str, description: str, parameters: Schema) -> Schema:
    shown = {"displayName": title, "description": description}
    return {"name": name, "uiDefinition": shown, "parameters": parameters}


def _send_key() -> Schema:
    """In a set, the platform does not know which header a key belongs in."""
    return {
        "templateId": "setheader",
        "title": "Send the function key",
        "parameters": {
            "x-ms-apimTemplateParameter.name": "x-functions-key",
            "x-ms-apimTemplateParameter.value": "@connectionParameters('api_key','')",
            "x-ms-apimTemplateParameter.existsAction": "override",
            "x-ms-apimTemplate-policySection": "Request",
        },
    }


def _route_next_links() -> Schema:
    """Return the next page is asked for through the connector, which adds the key."""
    return {
        "templateId": "updatenextlink",
        "title": "Follow next links through the connector",
        "parameters": {
            "x-ms-apimTemplateParameter.nextLinkPropertyName": "nextLink",
            "x-ms-apimTemplate-operationName": [
                one.operation_id for one in routes() if one.function in ACTIONS and ACTIONS[one.function].pages
            ],
        },
    }


def _keep_state() -> Schema:
    """Return how a trigger is asked again through the connector: with the state that the last answer brought."""
    return {
        "templateId": "pollingtrigger",
        "title": "Go on where the last answer ended",
        "type": "PollingTrigger",
        "parameters": {
            "x-ms-apimTemplateParameter.triggerConfig": {"triggerState": "@{triggerBody().triggerState}"},
            "x-ms-apimTemplateParameter.triggerDataPath": "@triggerBody().value",
            "x-ms-apimTemplate-operationName": [
                one.operation_id for one in routes() if one.function in ACTIONS and ACTIONS[one.function].trigger
            ],
        },
    }
