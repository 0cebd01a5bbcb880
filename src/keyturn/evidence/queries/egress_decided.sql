-- What reaches the network was understood and decided
-- population: actions of the period that ran and reach hosts on the network
-- exception: without people behind it: policy only observed, no rule names it, it was not read to the last byte, or
--   it sends after labelled data had come into its session
-- rests on: action permit grant_event plan_event labelled
WITH people AS (
    SELECT action FROM permit WHERE event = 'issued' AND request <> ''
    UNION SELECT action FROM grant_event WHERE event = 'used'
    UNION SELECT action FROM plan_event WHERE event = 'advanced'
),
data AS (
    SELECT session, MIN(entry) AS entry FROM labelled WHERE session <> '' GROUP BY session
)
SELECT a.entry, a.ts_ms, a.action AS subject,
    CASE
        WHEN a.action IN (SELECT h.action FROM people h) THEN ''
        WHEN a.mode = 'observe' AND a.would <> 'run' THEN 'it ran because policy only observed'
        WHEN d.entry < a.entry AND instr(' ' || a.effects || ' ', ' sends:network ') > 0
            THEN 'it sends after labelled data had come into its session, and nobody approved it'
        WHEN a.verdict = 'run' AND a.would = 'hold' THEN ''
        WHEN a.rules = '' THEN 'no rule let it out'
        WHEN a.complete = 0 THEN 'it was not read to the last byte, and nobody approved it'
        ELSE ''
    END AS exception
FROM action a
CROSS JOIN period p
LEFT JOIN data d ON d.session = a.session
WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms AND instr(' ' || a.zones || ' ', ' network ') > 0
    AND EXISTS (SELECT 1 FROM permit c WHERE c.action = a.action AND c.event = 'consumed')
ORDER BY 1, 3, 4
