-- title: Elements licences that expire
-- description: Subscriptions of the customers of a partner that end within the given days or have ended, sorted by their end.
-- needs: elements/v3-services
-- parameter: days = 60 | The number of days.

WITH products AS (
    SELECT "organization", "customer", unnest(json_items("products")) AS product, "_key" AS key
    FROM "elements/v3-services"
),
licences AS (
    SELECT "organization", "customer", json_member(product, 'service') AS service,
        json_member(product, 'purchasedUserSeats') AS "purchasedUserSeats",
        json_member(product, 'purchasedCapacity') AS "purchasedCapacity",
        json_member(product, 'consumedStorage') AS "consumedStorage",
        TRY_CAST(json_member(product, 'expirationDate') AS TIMESTAMPTZ) AS expires, key
    FROM products
)

SELECT "organization", "customer", service, "purchasedUserSeats", "purchasedCapacity", "consumedStorage", expires,
    date_diff('day', $now, expires) AS "daysLeft", key
FROM licences
WHERE expires < $now + to_days($days)
ORDER BY expires, "organization" NULLS LAST, service NULLS LAST, key
