-- title: Apps, flows and agents by environment, type and owner
-- description: How many Power Apps, cloud flows and Copilot Studio agents each owner has in each environment.
-- needs: graph/enpower-powerapps, graph/enpower-cloudflows
-- uses: graph/enpower-agents

WITH items AS (
    SELECT "environmentName" AS environment, 'app' AS kind, "appType" AS type, "ownerDisplayName" AS owner
    FROM "graph/enpower-powerapps"
    UNION ALL
    SELECT "environment", 'flow', "type", json_member("owner", 'name')
    FROM "graph/enpower-cloudflows"
    UNION ALL
    SELECT "environment", 'agent', NULL, "ownerUserPrincipalName"
    FROM "graph/enpower-agents"
)

SELECT environment, kind, type, owner, count(*) AS items
FROM items
GROUP BY ALL
ORDER BY environment NULLS LAST, kind, type NULLS LAST, owner NULLS LAST
