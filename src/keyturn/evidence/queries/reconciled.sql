-- What targets' own logs say was done is what was let go
-- population: comparisons with the logs of targets in the period, and for each target the time since the last one
-- exception: the target did something with an agent's account that no action accounts for, lines could not be read, reading stopped early,
-- time was left out between two comparisons, or the last one is too long ago. Targets that were never compared are not seen here
-- rests on: reconciled
-- settings: reconcile_h=48 (hours by which the last comparison may be behind)
WITH
  edge AS (SELECT MAX(e.ts_ms) AS now FROM event e),
  run AS (
    SELECT entry, ts_ms, run, source, target, since_ms, until_ms, broken_n, bypasses_n, stopped,
      MAX(until_ms) OVER (PARTITION BY source, target ORDER BY entry ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before,
      ROW_NUMBER() OVER (PARTITION BY source, target ORDER BY entry DESC) AS back
    FROM reconciled WHERE ts_ms < (SELECT until_ms FROM period)
  ),
  until AS (SELECT source, target, MAX(until_ms) AS ms FROM run GROUP BY source, target)
SELECT r.entry, r.ts_ms, r.run AS subject,
  CASE
    WHEN r.bypasses_n > 0 THEN CAST(r.bypasses_n AS TEXT) || ' things were done on ' || r.target || ' that no action accounts for'
    WHEN r.broken_n > 0 THEN CAST(r.broken_n AS TEXT) || ' lines of the log of ' || r.target || ' could not be read'
    WHEN r.stopped = 1 THEN 'the log of ' || r.target || ' was read in part'
    WHEN r.since_ms > r.before
      THEN 'nothing was compared with ' || r.target || ' for ' || CAST(CAST((r.since_ms - r.before - (r.since_ms - r.before) % 1000) / 1000 AS BIGINT) AS TEXT) || ' seconds before it'
    ELSE ''
  END AS exception
FROM run r WHERE r.ts_ms >= (SELECT since_ms FROM period)
UNION ALL
SELECT r.entry, CASE WHEN r.ts_ms < p.since_ms THEN p.since_ms ELSE r.ts_ms END, r.source || ' ' || r.target,
  CASE
    WHEN CASE WHEN p.until_ms < e.now THEN p.until_ms ELSE e.now END - u.ms > s.value * 3600000
      THEN 'nothing was compared with ' || r.target || ' at the end of the period'
    ELSE ''
  END
FROM run r JOIN until u ON u.source = r.source AND u.target = r.target CROSS JOIN period p CROSS JOIN edge e CROSS JOIN setting s
WHERE r.back = 1 AND s.name = 'reconcile_h'
ORDER BY 1, 3, 4
