-- Who approves is known, and their keys were enrolled by somebody else before
-- population: decisions of people in the period, and keys enrolled in it
-- exception: somebody decided who is not on the roster, or with a key that was not enrolled, is another's, or was revoked; a key was enrolled
-- that nobody else approved, or that was enrolled before
-- rests on: approval person person_key request ended
WITH
  finish AS (SELECT request, MAX(state) AS state, MIN(entry) AS entry FROM ended GROUP BY request),
  roster AS (SELECT person, MIN(entry) AS entry FROM person WHERE event = 'enrolled' GROUP BY person),
  had AS (SELECT "key", MIN(entry) AS entry, MIN(person) AS person FROM person_key WHERE event = 'enrolled' GROUP BY "key"),
  gone AS (SELECT "key", MIN(entry) AS entry FROM person_key WHERE event = 'revoked' GROUP BY "key"),
  word AS (
    SELECT e.entry, COUNT(*) AS n
    FROM person_key e JOIN approval a ON a.request = e.request AND a.choice = 'approve' AND a.person <> e.person AND a.entry < e.entry
    WHERE e.event = 'enrolled' AND e.request <> '' GROUP BY e.entry
  )
SELECT a.entry, a.ts_ms, a.request AS subject,
  CASE
    WHEN o.person IS NULL OR o.entry > a.entry THEN a.person || ' decided, and is not on the roster'
    WHEN a."key" = '' THEN ''
    WHEN h."key" IS NULL OR h.entry > a.entry THEN a.person || ' decided with a key that was not enrolled'
    WHEN h.person <> a.person THEN a.person || ' decided with the key of ' || h.person
    WHEN g.entry < a.entry THEN a.person || ' decided with a key that had been revoked'
    ELSE ''
  END AS exception
FROM approval a
  LEFT JOIN roster o ON o.person = a.person
  LEFT JOIN had h ON h."key" = a."key" AND a."key" <> ''
  LEFT JOIN gone g ON g."key" = a."key" AND a."key" <> ''
WHERE a.ts_ms >= (SELECT since_ms FROM period) AND a.ts_ms < (SELECT until_ms FROM period)
UNION ALL
SELECT k.entry, k.ts_ms, k."key",
  CASE
    WHEN h.entry < k.entry THEN 'the key was enrolled before'
    WHEN k.genesis = 1 THEN ''
    WHEN k.request = '' THEN 'nobody approved this key of ' || k.person
    WHEN f.request IS NULL OR f.state <> 'approved' OR f.entry > k.entry THEN 'the request for this key of ' || k.person || ' was not approved before'
    WHEN COALESCE(w.n, 0) = 0 THEN 'nobody but ' || k.person || ' approved this key'
    ELSE ''
  END
FROM person_key k
  LEFT JOIN had h ON h."key" = k."key"
  LEFT JOIN finish f ON f.request = k.request AND k.request <> ''
  LEFT JOIN word w ON w.entry = k.entry
WHERE k.event = 'enrolled' AND k.ts_ms >= (SELECT since_ms FROM period) AND k.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
