-- Nothing ran that was not decided on and let go before
-- population: what ran in the period: each use of a permit, and what a gate saw start or end without one
-- exception: there is no decision before it, or no permit that the decision or an approved request gave, or none was used before
-- rests on: permit action receipt started
WITH
  seen AS (
    SELECT entry, ts_ms, action, 'it ran' AS how FROM receipt
    WHERE outcome <> 'not-run' AND ts_ms >= (SELECT since_ms FROM period) AND ts_ms < (SELECT until_ms FROM period)
    UNION ALL
    SELECT entry, ts_ms, action, 'it started' FROM started
    WHERE ts_ms >= (SELECT since_ms FROM period) AND ts_ms < (SELECT until_ms FROM period)
  )
SELECT p.entry, p.ts_ms, p.action AS subject,
  CASE
    WHEN a.action IS NULL THEN 'a permit was used for an action that nobody decided on'
    WHEN a.entry > p.entry THEN 'its permit was used before it was decided on'
    WHEN a.permit <> p.permit AND NOT EXISTS (
      SELECT 1 FROM permit i WHERE i.permit = p.permit AND i.event = 'issued' AND i.action = p.action AND i.entry < p.entry
    ) THEN 'a permit was used that neither its decision nor a request gave'
    ELSE ''
  END AS exception
FROM permit p LEFT JOIN action a ON a.action = p.action
WHERE p.event = 'consumed' AND p.ts_ms >= (SELECT since_ms FROM period) AND p.ts_ms < (SELECT until_ms FROM period)
UNION ALL
SELECT s.entry, s.ts_ms, s.action, s.how || ', and no permit was used for it before'
FROM seen s
WHERE NOT EXISTS (SELECT 1 FROM permit c WHERE c.action = s.action AND c.event = 'consumed' AND c.entry < s.entry)
ORDER BY 1, 3, 4
