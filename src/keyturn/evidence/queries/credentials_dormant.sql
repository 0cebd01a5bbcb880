-- Nobody and nothing keeps access that is not used
-- population: people on the roster, gates that are enrolled, and credentials of agents and gates that are good, at
--   the end of the period
-- exception: not used for longer than is allowed
-- rests on: person gate_event credential session action login approval drill breakglass finding_move review viewed
--   exported change
-- settings: dormant_d=90 (days without any use)
WITH doing AS (
    SELECT 'person ' || person AS who, ts_ms FROM login WHERE event = 'opened'
    UNION ALL SELECT 'person ' || person, ts_ms FROM approval
    UNION ALL SELECT 'person ' || person, ts_ms FROM drill
    UNION ALL SELECT 'person ' || person, ts_ms FROM breakglass
    UNION ALL SELECT 'person ' || person, ts_ms FROM session
    UNION ALL SELECT 'person ' || x.by, x.ts_ms FROM finding_move x
    UNION ALL SELECT 'person ' || x.by, x.ts_ms FROM review x
    UNION ALL SELECT 'person ' || x.by, x.ts_ms FROM viewed x
    UNION ALL SELECT 'person ' || x.by, x.ts_ms FROM exported x
    UNION ALL SELECT 'person ' || x.by, x.ts_ms FROM change x
    UNION ALL SELECT 'gate ' || gate, ts_ms FROM session
    UNION ALL SELECT 'gate ' || gate, MAX(ts_ms) FROM action GROUP BY gate
    UNION ALL SELECT 'credential ' || credential, ts_ms FROM session WHERE credential <> ''
),
used AS (
    SELECT d.who, MAX(d.ts_ms) AS last_ms
    FROM doing d, period p
    WHERE d.ts_ms < p.until_ms
    GROUP BY d.who
),
roster AS (
    SELECT r.person, MAX(r.entry) AS last_entry, MAX(CASE WHEN r.event IN ('enrolled', 'restored') THEN r.entry END) AS entry
    FROM person r, period p
    WHERE r.ts_ms < p.until_ms
    GROUP BY r.person
),
gates AS (
    SELECT g.gate, MAX(g.entry) AS last_entry, MAX(CASE WHEN g.event = 'enrolled' THEN g.entry END) AS entry
    FROM gate_event g, period p
    WHERE g.ts_ms < p.until_ms
    GROUP BY g.gate
),
over AS (
    SELECT credential, MIN(CASE WHEN event = 'revoked' THEN ts_ms ELSE expires_ms END) AS end_ms
    FROM credential
    WHERE event IN ('revoked', 'rotated')
    GROUP BY credential
),
member AS (
    SELECT a.entry, a.ts_ms, 'person ' || a.person AS subject
    FROM roster r
    JOIN person a ON a.entry = r.entry AND a.person = r.person
    JOIN person b ON b.entry = r.last_entry AND b.person = r.person
    WHERE b.event <> 'removed'
    UNION ALL
    SELECT a.entry, a.ts_ms, 'gate ' || a.gate
    FROM gates g
    JOIN gate_event a ON a.entry = g.entry AND a.gate = g.gate
    JOIN gate_event b ON b.entry = g.last_entry AND b.gate = g.gate
    WHERE b.event <> 'removed'
    UNION ALL
    SELECT c.entry, c.ts_ms, 'credential ' || c.credential
    FROM credential c
    CROSS JOIN period p
    LEFT JOIN over o ON o.credential = c.credential
    WHERE c.event = 'issued' AND c.kind IN ('agent', 'gate') AND c.ts_ms < p.until_ms
        AND (COALESCE(c.expires_ms, 0) = 0 OR c.expires_ms >= p.until_ms)
        AND (o.end_ms IS NULL OR o.end_ms >= p.until_ms)
),
idle AS (
    SELECT m.entry, CASE WHEN m.ts_ms < p.since_ms THEN p.since_ms ELSE m.ts_ms END AS ts_ms, m.subject,
        p.until_ms - CASE WHEN u.last_ms > m.ts_ms THEN u.last_ms ELSE m.ts_ms END AS idle_ms
    FROM member m
    CROSS JOIN period p
    LEFT JOIN used u ON u.who = m.subject
)
SELECT entry, ts_ms, subject,
    CASE
        WHEN idle_ms > (SELECT value FROM setting WHERE name = 'dormant_d') * 86400000
            THEN 'not used for ' || CAST(CAST((idle_ms - idle_ms % 86400000) / 86400000 AS BIGINT) AS TEXT) || ' days'
        ELSE ''
    END AS exception
FROM idle
ORDER BY 1, 3, 4
