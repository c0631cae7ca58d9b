-- title: Elements customers by job status
-- description: The customers of a partner, with the status of their jobs, who manages them, and how many tenants they have.
-- needs: elements/v3-customers

SELECT "organization", "ownerEmail", "countryOrRegion",
    meaning('elements/v3-customers', 'jobStatus', "jobStatus") AS "jobStatus",
    meaning('elements/v3-customers', 'managementMode', "managementMode") AS "managementMode",
    json_size("tenants") AS tenants, "_key" AS key
FROM "elements/v3-customers"
ORDER BY "jobStatus" NULLS LAST, "organization" NULLS LAST, key
