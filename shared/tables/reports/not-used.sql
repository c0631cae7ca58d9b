-- title: Apps, flows and agents that nobody uses
-- description: Power Apps, cloud flows and Copilot Studio agents without a launch, run or other activity for the given days. If an item was never used, its creation counts.
-- needs: graph/enpower-powerapps, graph/enpower-cloudflows
-- uses: graph/enpower-agents
-- parameter: days = 90 | The number of days.

WITH items AS (
    SELECT 'app' AS kind, "displayName" AS name, "environmentName" AS environment, "ownerDisplayName" AS owner,
        greatest("lastLaunchedOn", "lastActivityDate") AS "lastUsed", "createdOn" AS created, "_key" AS key
    FROM "graph/enpower-powerapps"
    UNION ALL
    SELECT 'flow', "displayName", "environment", json_member("owner", 'name'),
        greatest("lastRunTime", "lastActivityDate"), "createdTime", "_key"
    FROM "graph/enpower-cloudflows"
    UNION ALL
    SELECT 'agent', "displayName", "environment", "ownerUserPrincipalName",
        "lastActivityTime", "createdTime", "_key"
    FROM "graph/enpower-agents"
)

SELECT kind, name, environment, owner, "lastUsed", created, key
FROM items
WHERE coalesce(greatest("lastUsed", created) < $now - to_days($days), true)
ORDER BY "lastUsed" NULLS FIRST, kind, name NULLS LAST, key
