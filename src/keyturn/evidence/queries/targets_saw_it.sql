-- What was let go is in the targets' own logs
-- population: comparisons with the logs of targets in the period
-- exception: actions that ran, of which the target's log has no line
-- rests on: reconciled
SELECT r.entry, r.ts_ms, r.run AS subject,
  CASE WHEN r.missing_n > 0 THEN CAST(r.missing_n AS TEXT) || ' actions are not in the log of ' || r.target ELSE '' END AS exception
FROM reconciled r
WHERE r.ts_ms >= (SELECT since_ms FROM period) AND r.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
