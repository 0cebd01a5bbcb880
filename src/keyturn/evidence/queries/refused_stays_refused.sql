-- What was refused did not run
-- population: actions that policy refused (or would have, in observe mode) in the period, and held ones whose request ended in the period
-- without an approval: denied, expired, withdrawn, superseded, drills
-- exception: a permit left for it or was used, or a gate saw it start or end
-- rests on: action request ended permit receipt started
WITH
  member AS (
    SELECT entry, ts_ms, action, CASE WHEN verdict = 'refuse' THEN 'refused' ELSE 'would be refused' END AS how
    FROM action WHERE (verdict = 'refuse' OR would = 'refuse')
      AND ts_ms >= (SELECT since_ms FROM period) AND ts_ms < (SELECT until_ms FROM period)
    UNION ALL
    SELECT e.entry, e.ts_ms, r.action, e.state
    FROM ended e JOIN request r ON r.request = e.request
    WHERE e.state <> 'approved' AND r.subject = 'action' AND r.action <> ''
      AND e.ts_ms >= (SELECT since_ms FROM period) AND e.ts_ms < (SELECT until_ms FROM period)
  ),
  no AS (SELECT DISTINCT action FROM member),
  consumed AS (SELECT action, MIN(entry) AS entry FROM permit WHERE event = 'consumed' AND action IN (SELECT action FROM no) GROUP BY action),
  issued AS (SELECT action, MIN(entry) AS entry FROM permit WHERE event = 'issued' AND action IN (SELECT action FROM no) GROUP BY action),
  began AS (SELECT action, MIN(entry) AS entry FROM started WHERE action IN (SELECT action FROM no) GROUP BY action),
  ran AS (SELECT action, MIN(entry) AS entry FROM receipt WHERE outcome <> 'not-run' AND action IN (SELECT action FROM no) GROUP BY action)
SELECT m.entry, m.ts_ms, m.action AS subject,
  CASE
    WHEN c.entry IS NOT NULL AND m.how = 'would be refused' THEN 'it ran in observe mode, though policy would refuse it'
    WHEN c.entry IS NOT NULL THEN 'it was ' || m.how || ', and its permit was used'
    WHEN x.entry IS NOT NULL THEN 'it was ' || m.how || ', and a gate reports that it ran'
    WHEN b.entry IS NOT NULL THEN 'it was ' || m.how || ', and a gate saw it start'
    WHEN i.entry IS NOT NULL THEN 'it was ' || m.how || ', and a permit left for it'
    ELSE ''
  END AS exception
FROM member m
  LEFT JOIN consumed c ON c.action = m.action
  LEFT JOIN issued i ON i.action = m.action
  LEFT JOIN began b ON b.action = m.action
  LEFT JOIN ran x ON x.action = m.action
ORDER BY 1, 3, 4
