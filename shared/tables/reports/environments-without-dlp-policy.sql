-- title: Environments without a data loss prevention policy
-- description: Power Platform environments to which no data loss prevention policy applies, those with the most apps and flows first.
-- needs: graph/enpower-environments

SELECT "displayName" AS environment, "environmentType" AS type, "region", "environmentOwnerDisplayName" AS owner,
    "ownerIsDisabled", "numberOfApps" AS apps, "numberOfFlows" AS flows, "numberOfConnections" AS connections,
    "hasPremiumConnection", "createdTime" AS created, "_key" AS key
FROM "graph/enpower-environments"
WHERE NOT coalesce("hasDlpPolicy", "dlpPolicies" > 0, false)
ORDER BY CAST(coalesce("numberOfApps", 0) AS HUGEINT) + coalesce("numberOfFlows", 0) DESC, environment NULLS LAST, key
