-- title: Apps, flows and connections without an active owner
-- description: Power Apps, cloud flows and connections that have no owner, or whose owner is no longer active.
-- needs: graph/enpower-powerapps, graph/enpower-cloudflows
-- uses: graph/enpower-connections
-- decides: graph/enpower-cloudflows.owner
-- parameter: active = Active, Enable, Enabled | The statuses of an owner that mean active.

WITH items AS (
    SELECT 'app' AS kind, "displayName" AS name, "environmentName" AS environment, "ownerDisplayName" AS owner,
        "ownerStatus" AS "ownerStatus", "lastActivityDate" AS "lastActivity", "_key" AS key
    FROM "graph/enpower-powerapps"
    UNION ALL
    SELECT 'flow', "displayName", "environment", json_member("owner", 'name'),
        json_member("owner", 'status'), "lastActivityDate", "_key"
    FROM "graph/enpower-cloudflows"
    UNION ALL
    SELECT 'connection', "displayName", "environmentDisplayName", "ownerDisplayName",
        "ownerStatus", NULL, "_key"
    FROM "graph/enpower-connections"
)

SELECT kind, name, environment, owner, "ownerStatus", "lastActivity", key
FROM items
WHERE NOT coalesce(listed("ownerStatus", $active), false)
ORDER BY kind, environment NULLS LAST, name NULLS LAST, key
