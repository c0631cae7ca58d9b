-- title: Mailboxes that forward to outside
-- description: Mailboxes whose mail is forwarded to an external address.
-- needs: graph/enpower-mailboxes

SELECT "displayName" AS name, "emailAddress", "recipientType" AS type, "status",
    "externalForwardingAddressDomain" AS domain, "litigationHoldEnabled", "lastActivityDate" AS "lastActivity",
    "_key" AS key
FROM "graph/enpower-mailboxes"
WHERE "externalEmailForwardingEnabled"
ORDER BY domain NULLS LAST, name NULLS LAST, key
