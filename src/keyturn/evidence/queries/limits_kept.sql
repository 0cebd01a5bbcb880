-- What exceeds a limit does not run without people
-- population: actions of the period that limits of policy count
-- exception: it exceeds a limit, ran, and nobody approved it
-- rests on: action permit grant_event plan_event
SELECT a.entry, a.ts_ms, a.action AS subject,
    CASE
        WHEN a.exceeded_n = 0 AND instr(' ' || a.facts || ' ', ' over ') = 0 THEN ''
        WHEN a.action NOT IN (SELECT c.action FROM permit c WHERE c.event = 'consumed') THEN ''
        WHEN a.action IN (SELECT i.action FROM permit i WHERE i.event = 'issued' AND i.request <> '') THEN ''
        WHEN a.action IN (SELECT g.action FROM grant_event g WHERE g.event = 'used') THEN ''
        WHEN a.action IN (SELECT n.action FROM plan_event n WHERE n.event = 'advanced') THEN ''
        ELSE 'it exceeds a limit and ran, and nobody approved it'
    END AS exception
FROM action a, period p
WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
    AND (a.counted_n > 0 OR a.exceeded_n > 0 OR instr(' ' || a.facts || ' ', ' over ') > 0)
ORDER BY 1, 3, 4
