-- title: New and gone
-- description: Environments, apps, flows, agents and connections that were added or removed in the last days, the newest first.
-- needs: graph/enpower-powerapps, graph/enpower-cloudflows
-- uses: graph/enpower-environments, graph/enpower-agents, graph/enpower-connections
-- parameter: days = 7 | The number of days.

WITH changes AS (
    SELECT 'app' AS kind, * FROM "graph/enpower-powerapps changes"
    UNION ALL
    SELECT 'flow', * FROM "graph/enpower-cloudflows changes"
    UNION ALL
    SELECT 'environment', * FROM "graph/enpower-environments changes"
    UNION ALL
    SELECT 'agent', * FROM "graph/enpower-agents changes"
    UNION ALL
    SELECT 'connection', * FROM "graph/enpower-connections changes"
)

SELECT "at", change, sure, kind, json_member(coalesce("after", "before"), 'displayName') AS name, "key", run_id AS "runId"
FROM changes
WHERE change IN ('added', 'removed') AND "at" >= $now - to_days($days)
ORDER BY "at" DESC, kind, change, "key"
