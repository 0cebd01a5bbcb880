-- Whoever approves looks at what they approve
-- population: people who decided on actions, or on drills, in the period
-- exception: too many drills were approved; nothing was ever denied, of many; most approvals were given faster than
--   anybody can read, or together with others
-- rests on: approval request drill
-- settings: drills_missed=0.25 (share of drills that somebody may approve)
-- settings: never_denied_n=200 (approvals without any denial that are too many)
-- settings: looked_s=3 (seconds in which nobody can read a request)
-- settings: looked_least_n=20 (approvals of somebody from which on their haste is judged)
-- settings: hasty=0.5 (share of approvals that may be given in such haste, or together with others)
WITH decided AS (
    SELECT v.entry, v.ts_ms, v.person, v.choice, COALESCE(v.looked_ms, v.dwell_ms) AS looked_ms, v.batch, 0 AS drill, 0 AS missed
    FROM approval v
    CROSS JOIN period p
    JOIN request r ON r.request = v.request AND r.subject IN ('action', 'plan')
    WHERE v.ts_ms >= p.since_ms AND v.ts_ms < p.until_ms
    UNION ALL
    SELECT d.entry, d.ts_ms, d.person, d.choice, NULL, 0, 1, 1 - d.caught
    FROM drill d, period p
    WHERE d.person <> '' AND d.ts_ms >= p.since_ms AND d.ts_ms < p.until_ms
),
people AS (
    SELECT person, MAX(entry) AS entry, MAX(ts_ms) AS ts_ms,
        SUM(CASE WHEN drill = 0 AND choice = 'approve' THEN 1 ELSE 0 END) AS approved,
        SUM(CASE WHEN choice <> 'approve' THEN 1 ELSE 0 END) AS denied,
        SUM(drill) AS drills,
        SUM(missed) AS missed,
        SUM(CASE WHEN drill = 0 AND choice = 'approve' AND looked_ms IS NOT NULL THEN 1 ELSE 0 END) AS timed,
        SUM(CASE WHEN drill = 0 AND choice = 'approve'
            AND looked_ms < (SELECT value FROM setting WHERE name = 'looked_s') * 1000 THEN 1 ELSE 0 END) AS hasty,
        SUM(CASE WHEN drill = 0 AND choice = 'approve' AND batch = 1 THEN 1 ELSE 0 END) AS together
    FROM decided
    GROUP BY person
)
SELECT entry, ts_ms, person AS subject,
    CASE
        WHEN drills > 0 AND missed > drills * (SELECT value FROM setting WHERE name = 'drills_missed')
            THEN 'approved ' || CAST(missed AS TEXT) || ' of ' || CAST(drills AS TEXT) || ' drills'
        WHEN denied = 0 AND approved >= (SELECT value FROM setting WHERE name = 'never_denied_n')
            THEN 'approved all ' || CAST(approved AS TEXT)
        WHEN timed >= (SELECT value FROM setting WHERE name = 'looked_least_n')
            AND hasty > timed * (SELECT value FROM setting WHERE name = 'hasty')
            THEN 'approved ' || CAST(hasty AS TEXT) || ' of ' || CAST(timed AS TEXT) || ' faster than anybody can read'
        WHEN approved >= (SELECT value FROM setting WHERE name = 'looked_least_n')
            AND together > approved * (SELECT value FROM setting WHERE name = 'hasty')
            THEN 'approved ' || CAST(together AS TEXT) || ' of ' || CAST(approved AS TEXT) || ' together with others'
        ELSE ''
    END AS exception
FROM people
ORDER BY 1, 3, 4
