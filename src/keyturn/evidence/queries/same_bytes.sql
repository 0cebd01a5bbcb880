-- What ran is what was decided on
-- population: receipts in the period of actions that were started
-- exception: the gate says that other bytes ran, or can't say which; or the permit was for other bytes. Only an enforced or credentialed
-- gate knows this by itself; others are told by the client
-- rests on: receipt action permit
WITH
  issued AS (SELECT permit, MIN(digest) AS digest FROM permit WHERE event = 'issued' GROUP BY permit)
SELECT r.entry, r.ts_ms, r.action AS subject,
  CASE
    WHEN r.ran = '' THEN 'its gate can''t say what ran'
    WHEN r.ran <> a.digest THEN 'other bytes ran than were decided on'
    WHEN i.digest <> a.digest THEN 'its permit was for other bytes'
    ELSE ''
  END AS exception
FROM receipt r JOIN action a ON a.action = r.action LEFT JOIN issued i ON i.permit = r.permit AND r.permit <> ''
WHERE r.outcome <> 'not-run' AND r.ts_ms >= (SELECT since_ms FROM period) AND r.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
