-- title: Premium and custom connectors
-- description: Connectors that need a premium licence, and custom connectors of the organisation: how many connections, apps and flows use them, and in how many environments.
-- needs: graph/enpower-connections
-- parameter: premium = Premium | The tiers of a connector that need a premium licence.

SELECT "connectorId", any_value("connectorDisplayName") AS connector, any_value("publisher") AS publisher,
    any_value("tier") AS tier, bool_or(coalesce("isCustom", false)) AS "isCustom", count(*) AS connections,
    count(DISTINCT "environmentId") AS environments,
    TRY_CAST(coalesce(sum("powerAppCount"), 0) AS BIGINT) AS apps,
    TRY_CAST(coalesce(sum("flowCount"), 0) AS BIGINT) AS flows
FROM "graph/enpower-connections"
WHERE coalesce("isCustom", false) OR coalesce(listed("tier", $premium), false)
GROUP BY "connectorId"
ORDER BY connections DESC, "connectorId" NULLS LAST
