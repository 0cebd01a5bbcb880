-- Every permit that was used has its receipt
-- population: uses of permits in the period
-- exception: no receipt of it within the time, more than one, one that comes before, or one that names another permit. A receipt may say
-- that the gate does not know how it ended
-- rests on: permit receipt action
-- settings: receipt_h=24 (hours until a gate has to have reported)
WITH
  now AS (SELECT MAX(ts_ms) AS ms FROM event),
  due AS (SELECT CAST(value * 3600000 AS BIGINT) AS ms FROM setting WHERE name = 'receipt_h'),
  again AS (SELECT action, COUNT(*) AS n FROM receipt GROUP BY action HAVING COUNT(*) > 1)
SELECT p.entry, p.ts_ms, p.action AS subject,
  CASE
    WHEN g.n > 1 THEN 'it has ' || CAST(g.n AS TEXT) || ' receipts'
    WHEN t.action IS NULL AND n.ms >= p.ts_ms + d.ms THEN 'nothing is known of how it ended'
    WHEN t.entry < p.entry THEN 'its receipt comes before its permit was used'
    WHEN t.permit <> '' AND t.permit <> p.permit THEN 'its receipt names another permit'
    WHEN t.ts_ms > p.ts_ms + d.ms THEN 'its receipt is late'
    ELSE ''
  END AS exception
FROM permit p CROSS JOIN now n CROSS JOIN due d LEFT JOIN again g ON g.action = p.action
  LEFT JOIN receipt t ON t.action = p.action AND g.action IS NULL
WHERE p.event = 'consumed' AND p.ts_ms >= (SELECT since_ms FROM period) AND p.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
