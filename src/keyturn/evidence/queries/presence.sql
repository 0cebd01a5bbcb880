-- Keyturn was there all the time
-- population: heartbeats in the period, and the time after the last one
-- exception: more than three intervals lie between two of them, or a gate was silent that should not have been
-- rests on: heartbeat
WITH
  edge AS (
    SELECT CASE WHEN p.until_ms < MAX(e.ts_ms) THEN p.until_ms ELSE MAX(e.ts_ms) END AS ms, MIN(e.ts_ms) AS origin, p.since_ms, p.until_ms
    FROM event e CROSS JOIN period p GROUP BY p.since_ms, p.until_ms
  ),
  beat AS (
    SELECT entry, ts_ms, interval_s, silent,
      LAG(ts_ms) OVER (ORDER BY entry) AS before, LAG(interval_s) OVER (ORDER BY entry) AS every
    FROM heartbeat
  ),
  gap AS (
    SELECT b.entry, b.ts_ms, b.silent, 3000 * COALESCE(b.every, b.interval_s) AS most,
      b.ts_ms - COALESCE(b.before, CASE WHEN e.origin > e.since_ms THEN e.origin ELSE e.since_ms END) AS ms
    FROM beat b CROSS JOIN edge e
    WHERE b.ts_ms >= e.since_ms AND b.ts_ms < e.until_ms
  ),
  newest AS (SELECT MAX(h.entry) AS entry FROM heartbeat h CROSS JOIN edge e WHERE h.ts_ms < e.until_ms)
SELECT g.entry, g.ts_ms, 'heartbeat' AS subject,
  CASE
    WHEN g.ms > g.most THEN 'nothing was heard for ' || CAST(CAST((g.ms - g.ms % 1000) / 1000 AS BIGINT) AS TEXT) || ' seconds before it'
    WHEN g.silent <> '' THEN 'silent: ' || g.silent
    ELSE ''
  END AS exception
FROM gap g
UNION ALL
SELECT h.entry, CASE WHEN h.ts_ms < e.since_ms THEN e.since_ms ELSE h.ts_ms END, 'end of the period',
  CASE
    WHEN e.ms - h.ts_ms > 3000 * h.interval_s
      THEN 'nothing was heard for the last ' || CAST(CAST((e.ms - h.ts_ms - (e.ms - h.ts_ms) % 1000) / 1000 AS BIGINT) AS TEXT) || ' seconds'
    ELSE ''
  END
FROM heartbeat h JOIN newest n ON n.entry = h.entry CROSS JOIN edge e
ORDER BY 1, 3, 4
