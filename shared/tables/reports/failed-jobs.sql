-- title: Jobs that failed
-- description: Backup and scan jobs of the last days that failed or ended with an exception, the newest first.
-- uses: graph/m365-backup-jobs, graph/d365-backup-jobs, graph/google-backup-jobs, graph/iaas-backup-jobs, graph/salesforce-backup-jobs, graph/aos-jobs
-- parameter: days = 7 | The number of days.
-- parameter: failed = Failed, Exception, Finished with exception | The statuses that count as failed.

WITH jobs AS (
    SELECT 'graph/m365-backup-jobs' AS dataset, "id" AS job, "state" AS status, "startTime" AS started,
        "finishTime" AS finished, TRY_CAST(json_member("backupDetails", 'failedCount') AS BIGINT) AS "failedObjects"
    FROM "graph/m365-backup-jobs"
    UNION ALL
    SELECT 'graph/d365-backup-jobs', "jobId", meaning('graph/d365-backup-jobs', 'status', "status"), "startTime",
        "finishTime", "failedEntity"
    FROM "graph/d365-backup-jobs"
    UNION ALL
    SELECT 'graph/google-backup-jobs', "jobId", meaning('graph/google-backup-jobs', 'status', "status"), "startTime",
        "finishTime", NULL
    FROM "graph/google-backup-jobs"
    UNION ALL
    SELECT 'graph/iaas-backup-jobs', "jobId", meaning('graph/iaas-backup-jobs', 'status', "status"), "startTime",
        "finishTime", "failedCount"
    FROM "graph/iaas-backup-jobs"
    UNION ALL
    SELECT 'graph/salesforce-backup-jobs', "jobId",
        meaning('graph/salesforce-backup-jobs', 'state', coalesce("state", "status")), "startTime",
        "finishTime", "failedObjects"
    FROM "graph/salesforce-backup-jobs"
    UNION ALL
    SELECT 'graph/aos-jobs', "id", meaning('graph/aos-jobs', 'state', "state"), "startTime", "finishTime", NULL
    FROM "graph/aos-jobs"
)

SELECT dataset, job, status, started, finished, "failedObjects"
FROM jobs
WHERE listed(status, $failed) AND coalesce(finished, started) >= $now - to_days($days)
ORDER BY coalesce(finished, started) DESC, dataset, job
