-- A policy takes effect after its tests passed and it was tried on the past
-- population: policy versions that took effect in the period, but for the first one, which nobody is there to propose to
-- exception: it was not proposed before under the same request, has no cases, or was not tried on the recorded past. A proposal is
-- recorded only where its cases pass
-- rests on: policy
WITH
  proposed AS (
    SELECT policy, request, MIN(entry) AS entry, MAX(tests_n) AS tests_n, MAX(replayed) AS replayed
    FROM policy WHERE event = 'proposed' GROUP BY policy, request
  )
SELECT p.entry, p.ts_ms, p.policy AS subject,
  CASE
    WHEN q.policy IS NULL OR q.entry > p.entry THEN 'it was not proposed before'
    WHEN q.tests_n = 0 THEN 'it has no cases that say what it must do'
    WHEN q.replayed = 0 THEN 'it was not tried on the recorded past'
    ELSE ''
  END AS exception
FROM policy p LEFT JOIN proposed q ON q.policy = p.policy AND q.request = p.request
WHERE p.event = 'published' AND p.genesis = 0
  AND p.ts_ms >= (SELECT since_ms FROM period) AND p.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
