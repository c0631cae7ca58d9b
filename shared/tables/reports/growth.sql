-- title: Growth
-- description: How many items the first and the last published snapshot of the given days had, for each dataset that is harvested completely.
-- parameter: days = 30 | The number of days.

SELECT source || '/' || dataset AS dataset, min(finished_at) AS "from", max(finished_at) AS until,
    count(*) AS snapshots, arg_min(items, finished_at) AS "itemsThen", arg_max(items, finished_at) AS "itemsNow",
    arg_max(items, finished_at) - arg_min(items, finished_at) AS growth,
    CAST(sum(added) AS BIGINT) AS added, CAST(sum(removed) AS BIGINT) AS removed
FROM inventory_snapshots
JOIN datasets USING (source, dataset)
WHERE kind = 'full' AND finished_at >= $now - to_days($days)
GROUP BY ALL
ORDER BY growth DESC, dataset
