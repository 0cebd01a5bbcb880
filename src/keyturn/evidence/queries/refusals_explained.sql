-- Refusals say why, and many of them in one session are seen by somebody
-- population: actions that were refused in the period
-- exception: neither a rule nor a reason is named; or it is the one by which its session had too many, and nobody
--   looked at a finding about the session, or stopped it, in time
-- rests on: action finding finding_move closed
-- settings: refusals_n=10 (refusals in one session that somebody has to see)
-- settings: refusals_seen_h=72 (hours until they have to)
WITH refused AS (
    SELECT a.entry, a.ts_ms, a.action, a.session, a.rules, a.reasons_n,
        ROW_NUMBER() OVER (PARTITION BY a.session ORDER BY a.entry) AS number
    FROM action a
    WHERE a.verdict = 'refuse'
),
seen AS (
    SELECT f.session, m.ts_ms
    FROM finding f JOIN finding_move m ON m.finding = f.finding AND m.by <> ''
    WHERE f.session <> ''
    UNION ALL
    SELECT c.session, c.ts_ms FROM closed c WHERE c.event = 'stopped' AND c.by <> ''
),
many AS (
    SELECT r.entry, MIN(s.ts_ms) AS seen_ms
    FROM refused r
    LEFT JOIN seen s ON s.session = r.session AND r.session <> ''
        AND s.ts_ms <= r.ts_ms + (SELECT value FROM setting WHERE name = 'refusals_seen_h') * 3600000
    WHERE r.number = (SELECT value FROM setting WHERE name = 'refusals_n')
    GROUP BY r.entry
)
SELECT r.entry, r.ts_ms, r.action AS subject,
    CASE
        WHEN r.rules = '' AND r.reasons_n = 0 THEN 'it does not say why'
        WHEN m.entry IS NOT NULL AND m.seen_ms IS NULL
            AND p.until_ms > r.ts_ms + (SELECT value FROM setting WHERE name = 'refusals_seen_h') * 3600000
            THEN 'it is refusal ' || CAST(r.number AS TEXT) || ' in ' || r.session || ', and nobody looked at it'
        ELSE ''
    END AS exception
FROM refused r
CROSS JOIN period p
LEFT JOIN many m ON m.entry = r.entry
WHERE r.ts_ms >= p.since_ms AND r.ts_ms < p.until_ms
ORDER BY 1, 3, 4
