-- Keys and standing tokens are replaced in time
-- population: people's signing keys, the token of the SCIM client and the log's own key, as far as they were in use
--   in the period
-- exception: in use for longer than is allowed
-- rests on: person_key change event
-- settings: key_d=365 (days that a person's key or the SCIM client's token may be in use)
-- settings: log_key_d=1095 (days that the log's own key may be in use)
WITH life AS (
    SELECT k.entry, k.ts_ms, k.key AS subject, 'key_d' AS name, r.ts_ms AS end_ms
    FROM person_key k
    LEFT JOIN (SELECT key, MIN(ts_ms) AS ts_ms FROM person_key WHERE event = 'revoked' GROUP BY key) r ON r.key = k.key
    WHERE k.event = 'enrolled'
    UNION ALL
    SELECT entry, ts_ms, 'token of the SCIM client', 'key_d', next_ms
    FROM (SELECT entry, ts_ms, request, alone, LEAD(ts_ms) OVER (ORDER BY entry) AS next_ms FROM change WHERE type = 'scim.token') t
    WHERE request <> '' OR alone = 1
    UNION ALL
    SELECT entry, ts_ms, 'key of the log', 'log_key_d', NULL FROM event WHERE type = 'log.opened'
),
used AS (
    SELECT l.entry, l.ts_ms, l.subject, p.since_ms, s.value * 86400000 AS most_ms,
        CASE WHEN l.end_ms < p.until_ms THEN l.end_ms ELSE p.until_ms END - l.ts_ms AS used_ms
    FROM life l
    CROSS JOIN period p
    JOIN setting s ON s.name = l.name
    WHERE l.ts_ms < p.until_ms AND (l.end_ms IS NULL OR l.end_ms > p.since_ms)
)
SELECT entry, CASE WHEN ts_ms < since_ms THEN since_ms ELSE ts_ms END AS ts_ms, subject,
    CASE
        WHEN used_ms > most_ms
            THEN 'in use for ' || CAST(CAST((used_ms - used_ms % 86400000) / 86400000 AS BIGINT) AS TEXT) || ' days'
        ELSE ''
    END AS exception
FROM used
ORDER BY 1, 3, 4
