-- title: Apps, flows and agents shared with everybody or with guests
-- description: Power Apps and Copilot Studio agents that the whole organisation can use, and Power Apps and cloud flows that guests can use.
-- needs: graph/enpower-powerapps, graph/enpower-cloudflows
-- uses: graph/enpower-agents

WITH items AS (
    SELECT 'app' AS kind, "displayName" AS name, "environmentName" AS environment, "ownerDisplayName" AS owner,
        coalesce("sharedOrganization", false) AS "withEverybody", coalesce("guestUserCount", 0) AS guests,
        "sharedUsers", "sharedGroups", "_key" AS key
    FROM "graph/enpower-powerapps"
    UNION ALL
    SELECT 'flow', "displayName", "environment", json_member("owner", 'name'),
        false, coalesce("guests", 0), "users", NULL, "_key"
    FROM "graph/enpower-cloudflows"
    UNION ALL
    SELECT 'agent', "displayName", "environment", "ownerUserPrincipalName",
        coalesce("sharedWithOrganization", false), 0, "sharedUsers", "sharedGroups", "_key"
    FROM "graph/enpower-agents"
)

SELECT kind, name, environment, owner, "withEverybody", guests, "sharedUsers", "sharedGroups", key
FROM items
WHERE "withEverybody" OR guests > 0
ORDER BY "withEverybody" DESC, guests DESC, kind, name NULLS LAST, key
