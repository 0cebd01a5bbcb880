-- Times are in order, and clocks agree
-- population: blocks of 256 entries whose last one lies in the period; in the period, jumps of the clock, and comparisons with the logs of
-- targets
-- exception: an entry is earlier than the one before, the clock went back, or a target's clock differs, by more than is let
-- rests on: event clock reconciled
-- settings: clock_jump_s=60 (seconds that the clock may go back), clock_skew_s=300 (seconds that a target's clock may differ)
WITH
  jump AS (SELECT CAST(value * 1000 AS BIGINT) AS ms FROM setting WHERE name = 'clock_jump_s'),
  skew AS (SELECT CAST(value * 1000 AS BIGINT) AS ms FROM setting WHERE name = 'clock_skew_s'),
  block AS (
    SELECT entry - entry % 256 AS first, MAX(entry) AS last, MAX(ts_ms) AS ts_ms, MIN(ts_ms) AS earliest FROM event GROUP BY entry - entry % 256
  ),
  -- Beside a missing entry there is no pair: there, whole blocks are compared.
  pair AS (
    SELECT e.entry - e.entry % 256 AS first, COUNT(*) AS n
    FROM event e JOIN event b ON b.entry = e.entry - 1
    WHERE e.ts_ms < b.ts_ms GROUP BY e.entry - e.entry % 256
  ),
  ordered AS (
    SELECT b.first, b.last, b.ts_ms,
      CASE WHEN p.n IS NOT NULL THEN p.n WHEN b.earliest < LAG(b.ts_ms) OVER (ORDER BY b.first) THEN 1 ELSE 0 END AS back
    FROM block b LEFT JOIN pair p ON p.first = b.first
  )
SELECT b.last AS entry, b.ts_ms, 'entries ' || CAST(b.first AS TEXT) || ' to ' || CAST(b.last AS TEXT) AS subject,
  CASE WHEN b.back > 0 THEN CAST(b.back AS TEXT) || ' of them are earlier than the one before' ELSE '' END AS exception
FROM ordered b
WHERE b.ts_ms >= (SELECT since_ms FROM period) AND b.ts_ms < (SELECT until_ms FROM period)
UNION ALL
SELECT c.entry, c.ts_ms, 'clock',
  CASE WHEN c.log_ms - c.clock_ms > j.ms THEN 'the clock went back by ' || CAST(CAST((c.log_ms - c.clock_ms - (c.log_ms - c.clock_ms) % 1000) / 1000 AS BIGINT) AS TEXT) || ' seconds' ELSE '' END
FROM clock c CROSS JOIN jump j
WHERE c.ts_ms >= (SELECT since_ms FROM period) AND c.ts_ms < (SELECT until_ms FROM period)
UNION ALL
SELECT r.entry, r.ts_ms, r.run,
  CASE WHEN ABS(r.skew_ms) > s.ms THEN 'the clock of ' || r.target || ' differs by ' || CAST(CAST((ABS(r.skew_ms) - ABS(r.skew_ms) % 1000) / 1000 AS BIGINT) AS TEXT) || ' seconds' ELSE '' END
FROM reconciled r CROSS JOIN skew s
WHERE r.ts_ms >= (SELECT since_ms FROM period) AND r.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
