-- Evidence is read and taken out by auditors and administrators only, and that is recorded
-- population: reads of evidence, and packs made, in the period
-- exception: who did it is on no roster, was removed before, or had neither the role of an auditor nor of an
--   administrator
-- rests on: viewed exported person
WITH reading AS (
    SELECT v.entry, v.ts_ms, v.by AS person, 'read ' || v.what AS did
    FROM viewed v, period p
    WHERE v.ts_ms >= p.since_ms AND v.ts_ms < p.until_ms
    UNION ALL
    SELECT x.entry, x.ts_ms, x.by, 'made a pack'
    FROM exported x, period p
    WHERE x.ts_ms >= p.since_ms AND x.ts_ms < p.until_ms
),
known AS (
    SELECT g.entry, MAX(r.entry) AS last_entry,
        MAX(CASE WHEN instr(' ' || r.names || ' ', ' roles ') > 0 THEN r.entry END) AS roles_entry
    FROM reading g JOIN person r ON r.person = g.person AND r.entry < g.entry
    GROUP BY g.entry
)
SELECT g.entry, g.ts_ms, g.person AS subject,
    CASE
        WHEN k.last_entry IS NULL THEN did || ', and is on no roster'
        WHEN l.event = 'removed' THEN did || ' after being removed'
        WHEN r.roles IS NULL THEN did || ' without the role of an auditor or administrator'
        WHEN instr(' ' || r.roles || ' ', ' auditor ') = 0 AND instr(' ' || r.roles || ' ', ' admin ') = 0
            THEN did || ' without the role of an auditor or administrator'
        ELSE ''
    END AS exception
FROM reading g
LEFT JOIN known k ON k.entry = g.entry
LEFT JOIN person l ON l.entry = k.last_entry AND l.person = g.person
LEFT JOIN person r ON r.entry = k.roles_entry AND r.person = g.person
ORDER BY 1, 3, 4
