-- A permit opens once, at its gate, in its time
-- population: uses of permits in the period
-- exception: it had been used before, at another gate, for another action, or it had expired
-- rests on: permit action
-- settings: commit_s=10 (seconds that may lie between looking at the clock and the entry)
WITH
  slack AS (SELECT CAST(value * 1000 AS BIGINT) AS ms FROM setting WHERE name = 'commit_s'),
  again AS (SELECT permit, MIN(entry) AS first FROM permit WHERE event = 'consumed' GROUP BY permit HAVING COUNT(*) > 1),
  issued AS (
    SELECT permit, MIN(action) AS action, MIN(gate) AS gate, MIN(expires_ms) AS expires_ms FROM permit WHERE event = 'issued' GROUP BY permit
  )
SELECT p.entry, p.ts_ms, p.permit AS subject,
  CASE
    WHEN g.first < p.entry THEN 'it had been used at entry ' || CAST(g.first AS TEXT)
    WHEN i.action <> p.action THEN 'it is for the action ' || i.action
    WHEN COALESCE(i.gate, a.gate) <> p.gate THEN 'it is for the gate ' || COALESCE(i.gate, a.gate)
    WHEN p.ts_ms > COALESCE(i.expires_ms, CASE WHEN a.permit = p.permit THEN a.expires_ms END) + k.ms THEN 'it was used after it had expired'
    ELSE ''
  END AS exception
FROM permit p CROSS JOIN slack k
  LEFT JOIN action a ON a.action = p.action
  LEFT JOIN issued i ON i.permit = p.permit
  LEFT JOIN again g ON g.permit = p.permit
WHERE p.event = 'consumed' AND p.ts_ms >= (SELECT since_ms FROM period) AND p.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
