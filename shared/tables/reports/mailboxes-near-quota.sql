-- title: Mailboxes near their limit
-- description: Mailboxes that use at least the given percentage of the size at which they can no longer send or receive.
-- needs: graph/enpower-mailboxes
-- parameter: percent = 90 | The smallest percentage.

SELECT "displayName" AS name, "emailAddress", "recipientType" AS type, "status", "storageUsed",
    "prohibitSendReceiveQuota" AS quota, round(100.0 * "storageUsed" / "prohibitSendReceiveQuota", 1) AS percent,
    "itemCount" AS items, "lastActivityDate" AS "lastActivity", "_key" AS key
FROM "graph/enpower-mailboxes"
WHERE "prohibitSendReceiveQuota" > 0
    AND CAST("storageUsed" AS HUGEINT) * 100 >= CAST("prohibitSendReceiveQuota" AS HUGEINT) * $percent
ORDER BY percent DESC, name NULLS LAST, key
