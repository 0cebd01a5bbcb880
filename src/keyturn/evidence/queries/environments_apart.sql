-- A session that changes production touches no other environment
-- population: sessions that changed something labelled `production` in the period
-- exception: in the same session something labelled as another environment was touched: development, dev, testing,
--   test, qa, staging
-- rests on: action permit
WITH touched AS (
    SELECT a.entry, a.ts_ms, a.session,
        CASE WHEN instr(' ' || a.changed || ' ', ' production ') > 0 THEN 1 ELSE 0 END AS production,
        CASE
            WHEN instr(' ' || a.labels || ' ', ' staging ') > 0 THEN 'staging'
            WHEN instr(' ' || a.labels || ' ', ' development ') > 0 THEN 'development'
            WHEN instr(' ' || a.labels || ' ', ' dev ') > 0 THEN 'dev'
            WHEN instr(' ' || a.labels || ' ', ' testing ') > 0 THEN 'testing'
            WHEN instr(' ' || a.labels || ' ', ' test ') > 0 THEN 'test'
            WHEN instr(' ' || a.labels || ' ', ' qa ') > 0 THEN 'qa'
            ELSE ''
        END AS other
    FROM action a, period p
    WHERE a.labels <> '' AND a.ts_ms >= p.since_ms AND a.ts_ms < p.until_ms
        AND a.action IN (SELECT c.action FROM permit c WHERE c.event = 'consumed')
),
sessions AS (
    SELECT session, MIN(CASE WHEN production = 1 THEN entry END) AS entry, MIN(CASE WHEN production = 1 THEN ts_ms END) AS ts_ms,
        MAX(other) AS other
    FROM touched
    GROUP BY session
)
SELECT entry, ts_ms, session AS subject, CASE WHEN other <> '' THEN 'it touched ' || other || ', too' ELSE '' END AS exception
FROM sessions
WHERE entry IS NOT NULL
ORDER BY 1, 3, 4
