-- Secrets are taken out before anything is recorded, and agents write none to files
-- population: actions decided in the period, and findings of secrets in the record that were opened in it
-- exception: a secret was found in the action and it is not sealed; it wrote a secret to a file, and no person let
--   it; a secret stands in the record, and nobody called that a false alarm
-- rests on: action permit grant_event plan_event finding finding_move
WITH written AS (
    SELECT f.action, MIN(f.finding) AS finding
    FROM finding f
    WHERE f.kind = 'secret.written' AND f.action <> ''
    GROUP BY f.action
),
ran AS (
    SELECT w.action, w.finding,
        CASE
            WHEN w.action IN (SELECT i.action FROM permit i WHERE i.event = 'issued' AND i.request <> '') THEN 0
            WHEN w.action IN (SELECT g.action FROM grant_event g WHERE g.event = 'used') THEN 0
            WHEN w.action IN (SELECT n.action FROM plan_event n WHERE n.event = 'advanced') THEN 0
            ELSE 1
        END AS alone
    FROM written w
    WHERE w.action IN (SELECT c.action FROM permit c WHERE c.event = 'consumed')
)
SELECT a.entry, a.ts_ms, a.action AS subject,
    CASE
        WHEN a.sealed = 0 AND instr(' ' || a.facts || ' ', ' secrets ') > 0 THEN 'a secret was found in it, and it is not sealed'
        WHEN r.alone = 1 THEN 'it wrote a secret to a file, and nobody approved it: ' || r.finding
        ELSE ''
    END AS exception
FROM action a
CROSS JOIN period p
LEFT JOIN ran r ON r.action = a.action
WHERE a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
UNION ALL
SELECT f.entry, f.ts_ms, f.finding,
    CASE
        WHEN f.finding IN (SELECT m.finding FROM finding_move m WHERE m.event = 'closed' AND m.outcome = 'false-alarm') THEN ''
        ELSE 'a secret stands in the record'
    END
FROM finding f, period p
WHERE f.kind = 'secret.recorded' AND f.ts_ms >= p.since_ms AND f.ts_ms < p.until_ms
ORDER BY 1, 3, 4
