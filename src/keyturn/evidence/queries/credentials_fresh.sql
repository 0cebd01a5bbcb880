-- A credential that ended opens nothing, and old and new overlap for a short time only
-- population: credentials that were good at some time in the period, or with which a session was opened in it
-- exception: a session was opened with it after it was revoked, was replaced, or had expired; both it and the next
--   were good for longer than is allowed; it outlives the one that it was made from, or was made after that one was
--   revoked
-- rests on: credential session
-- settings: overlap_h=1 (hours for which a credential and the next one may both be good)
WITH over AS (
    SELECT credential,
        MIN(CASE WHEN event = 'revoked' THEN entry END) AS revoked_entry,
        MIN(CASE WHEN event = 'revoked' THEN ts_ms END) AS revoked_ms,
        MIN(CASE WHEN event = 'rotated' THEN ts_ms END) AS rotated_ms,
        MIN(CASE WHEN event = 'rotated' THEN expires_ms END) AS old_until_ms
    FROM credential
    WHERE event IN ('revoked', 'rotated')
    GROUP BY credential
),
uses AS (
    SELECT s.credential, MAX(s.entry) AS last_entry, MAX(s.ts_ms) AS last_ms
    FROM session s, period p
    WHERE s.credential <> '' AND s.ts_ms >= p.since_ms AND s.ts_ms < p.until_ms
    GROUP BY s.credential
)
SELECT c.entry, CASE WHEN c.ts_ms < p.since_ms THEN p.since_ms ELSE c.ts_ms END AS ts_ms, c.credential AS subject,
    CASE
        WHEN u.last_entry > o.revoked_entry THEN 'a session was opened with it after it was revoked'
        WHEN u.last_ms > o.old_until_ms THEN 'a session was opened with it after it was replaced'
        WHEN c.expires_ms > 0 AND u.last_ms >= c.expires_ms THEN 'a session was opened with it after it had expired'
        WHEN o.old_until_ms - o.rotated_ms > (SELECT value FROM setting WHERE name = 'overlap_h') * 3600000
            THEN 'it was good beside the next one for '
                || CAST(CAST((o.old_until_ms - o.rotated_ms - (o.old_until_ms - o.rotated_ms) % 60000) / 60000 AS BIGINT) AS TEXT)
                || ' minutes'
        WHEN po.revoked_entry < c.entry THEN 'it was made from ' || c.parent || ', which was revoked before'
        WHEN COALESCE(c.expires_ms, 0) > pc.expires_ms AND pc.expires_ms > 0 THEN 'it outlives ' || c.parent || ', from which it was made'
        ELSE ''
    END AS exception
FROM credential c
CROSS JOIN period p
LEFT JOIN over o ON o.credential = c.credential
LEFT JOIN uses u ON u.credential = c.credential
LEFT JOIN credential pc ON pc.credential = c.parent AND pc.event = 'issued' AND c.parent <> ''
LEFT JOIN over po ON po.credential = c.parent AND c.parent <> ''
WHERE c.event = 'issued' AND c.ts_ms < p.until_ms
    AND (
        u.credential IS NOT NULL
        OR (
            (COALESCE(c.expires_ms, 0) = 0 OR c.expires_ms > p.since_ms)
            AND (o.revoked_ms IS NULL OR o.revoked_ms > p.since_ms)
            AND (o.old_until_ms IS NULL OR o.old_until_ms > p.since_ms)
        )
    )
ORDER BY 1, 3, 4
