-- title: Power BI workspaces to review
-- description: Workspaces without an administrator, with guests, or without activity for the given days.
-- needs: graph/enpower-powerbi-workspaces
-- parameter: days = 90 | The number of days.

WITH workspaces AS (
    SELECT "name", "type", "state", "capacityName" AS capacity,
        coalesce("numberOfAdmins", 0) = 0 AS "withoutAdmin", coalesce("numberOfGuests", 0) > 0 AS "withGuests",
        coalesce(greatest("lastActivityTime", "createdDateTime") < $now - to_days($days), true) AS "notUsed",
        "numberOfReports" AS reports, "numberOfDataSets" AS "semanticModels", "numberOfUsers" AS users,
        "numberOfGuests" AS guests, "lastActivityTime" AS "lastActivity", "_key" AS key
    FROM "graph/enpower-powerbi-workspaces"
    WHERE NOT coalesce("isDeleted", false)
)

SELECT *
FROM workspaces
WHERE "withoutAdmin" OR "withGuests" OR "notUsed"
ORDER BY "withoutAdmin" DESC, "withGuests" DESC, "notUsed" DESC, "name" NULLS LAST, key
