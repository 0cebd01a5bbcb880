-- Privileged actions ran because people let them
-- population: actions of the period that ran and grant something, configure something outside of the workspace, or
--   change what is labelled `production`
-- exception: no approval, grant, plan or break-glass of a person stands behind it, nor, where it is part of another
--   action, behind any earlier one of its session that runs code
-- rests on: action permit grant_event plan_event
WITH people AS (
    SELECT action FROM permit WHERE event = 'issued' AND request <> ''
    UNION SELECT action FROM grant_event WHERE event = 'used'
    UNION SELECT action FROM plan_event WHERE event = 'advanced'
),
approved AS (
    SELECT a.session, MIN(a.entry) AS entry
    FROM people h JOIN action a ON a.action = h.action
    WHERE a.session <> '' AND instr(' ' || a.verbs || ' ', ' executes ') > 0
    GROUP BY a.session
)
SELECT a.entry, a.ts_ms, a.action AS subject,
    CASE
        WHEN a.action IN (SELECT h.action FROM people h) THEN ''
        WHEN a.mode = 'observe' AND a.would <> 'run' THEN 'it ran because policy only observed: nobody approved it'
        WHEN a.verdict = 'run' AND a.would = 'hold' AND s.entry < a.entry THEN ''
        WHEN a.verdict = 'run' AND a.would = 'hold' THEN 'it ran as part of another action, and nobody approved one in its session'
        ELSE 'policy alone let it run: nobody approved it'
    END AS exception
FROM action a
CROSS JOIN period p
LEFT JOIN approved s ON s.session = a.session
WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
    AND (
        instr(' ' || a.verbs || ' ', ' grants ') > 0
        OR instr(' ' || a.changed || ' ', ' production ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:system ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:outside ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:network ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:tool ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:keyturn ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:home ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:device ') > 0
        OR instr(' ' || a.effects || ' ', ' configures:unknown ') > 0
    )
    AND EXISTS (SELECT 1 FROM permit c WHERE c.action = a.action AND c.event = 'consumed')
ORDER BY 1, 3, 4
