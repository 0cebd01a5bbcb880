-- Findings are taken care of, and settled, in time
-- population: findings that were not settled at some time in the period, or were opened in it
-- exception: nobody acknowledged it, or settled it (explained, accepted, closed), within the time for its severity
-- rests on: finding finding_move
-- settings: ack_critical_h=4 (hours until a critical finding is acknowledged)
-- settings: ack_high_h=24 (hours until a high one is)
-- settings: ack_medium_h=168 (hours until a medium one is)
-- settings: ack_low_h=720 (hours until a low one is)
-- settings: settle_critical_d=7 (days until a critical finding is settled)
-- settings: settle_high_d=30 (days until a high one is)
-- settings: settle_medium_d=90 (days until a medium one is)
-- settings: settle_low_d=180 (days until a low one is)
WITH moves AS (
    SELECT m.* FROM finding_move m, period p WHERE m.ts_ms < p.until_ms
),
again AS (
    SELECT finding, MAX(entry) AS entry, MAX(ts_ms) AS ts_ms FROM moves WHERE event = 'reopened' GROUP BY finding
),
taken AS (
    SELECT finding, MIN(ts_ms) AS ts_ms
    FROM moves
    WHERE event IN ('acknowledged', 'explained', 'accepted', 'closed')
    GROUP BY finding
),
settled AS (
    SELECT m.finding, MIN(m.ts_ms) AS ts_ms
    FROM moves m LEFT JOIN again a ON a.finding = m.finding
    WHERE m.event IN ('explained', 'accepted', 'closed') AND (a.entry IS NULL OR m.entry > a.entry)
    GROUP BY m.finding
),
late AS (
    SELECT f.entry, f.ts_ms, f.finding, f.severity, f.state, p.since_ms,
        COALESCE(t.ts_ms, p.until_ms) - f.ts_ms AS taken_ms, t.ts_ms AS taken_at,
        COALESCE(s.ts_ms, p.until_ms) - COALESCE(a.ts_ms, f.ts_ms) AS settled_ms, s.ts_ms AS settled_at,
        h.value * 3600000 AS ack_ms, d.value * 86400000 AS settle_ms
    FROM finding f
    CROSS JOIN period p
    LEFT JOIN taken t ON t.finding = f.finding
    LEFT JOIN again a ON a.finding = f.finding
    LEFT JOIN settled s ON s.finding = f.finding
    LEFT JOIN setting h ON h.name = 'ack_' || f.severity || '_h'
    LEFT JOIN setting d ON d.name = 'settle_' || f.severity || '_d'
    WHERE f.ts_ms < p.until_ms
        AND (f.ts_ms >= p.since_ms OR (f.state = 'open' OR a.entry IS NOT NULL) AND (s.ts_ms IS NULL OR s.ts_ms >= p.since_ms))
)
SELECT entry, CASE WHEN ts_ms < since_ms THEN since_ms ELSE ts_ms END AS ts_ms, finding AS subject,
    CASE
        WHEN ack_ms IS NULL THEN 'its severity is unknown: ' || severity
        WHEN state <> 'open' AND settled_at IS NULL THEN ''
        WHEN taken_ms > ack_ms AND taken_at IS NULL AND state = 'open'
            THEN severity || ', and nobody acknowledged it for '
                || CAST(CAST((taken_ms - taken_ms % 3600000) / 3600000 AS BIGINT) AS TEXT) || ' hours'
        WHEN taken_ms > ack_ms AND state = 'open'
            THEN severity || ', acknowledged after ' || CAST(CAST((taken_ms - taken_ms % 3600000) / 3600000 AS BIGINT) AS TEXT) || ' hours'
        WHEN settled_ms > settle_ms AND settled_at IS NULL
            THEN severity || ', not settled for '
                || CAST(CAST((settled_ms - settled_ms % 86400000) / 86400000 AS BIGINT) AS TEXT) || ' days'
        WHEN settled_ms > settle_ms
            THEN severity || ', settled after ' || CAST(CAST((settled_ms - settled_ms % 86400000) / 86400000 AS BIGINT) AS TEXT) || ' days'
        ELSE ''
    END AS exception
FROM late
ORDER BY 1, 3, 4
