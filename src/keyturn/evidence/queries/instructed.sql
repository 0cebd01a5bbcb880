-- Every action can be traced to an instruction and a reason
-- population: actions decided in the period
-- exception: the instruction is missing, or the agent's reason, where that is asked for
-- rests on: action
-- settings: reason_needed=1 (0: an instruction alone is enough)
SELECT a.entry, a.ts_ms, a.action AS subject,
    CASE
        WHEN a.instructed = 0 AND a.reasoned = 0 AND (SELECT value FROM setting WHERE name = 'reason_needed') > 0
            THEN 'neither an instruction nor a reason is given'
        WHEN a.instructed = 0 THEN 'no instruction is given'
        WHEN a.reasoned = 0 AND (SELECT value FROM setting WHERE name = 'reason_needed') > 0 THEN 'no reason is given'
        ELSE ''
    END AS exception
FROM action a, period p
WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
ORDER BY 1, 3, 4
