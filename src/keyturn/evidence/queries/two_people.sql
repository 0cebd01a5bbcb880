-- What needs two people was approved by two
-- population: requests approved in the period that need two people or more (one more a stage where nobody knows who asked); those that
-- somebody released alone are in breakglass_reviewed
-- exception: fewer distinct humans than that approved it: two accounts of one human are one, and so are a person and whom they stand in for
-- rests on: request approval ended person person_key breakglass
WITH RECURSIVE
  -- Records that share an account, ever, or an operating-system account, at one time, are one human.
  uid_span AS (
    SELECT person, entry, LEAD(entry) OVER (PARTITION BY person ORDER BY entry) AS until
    FROM holds WHERE kind = 'uid' AND what = ''
  ),
  uid_held AS (
    SELECT h.person, h.what, s.entry AS since, COALESCE(s.until, 9007199254740991) AS until
    FROM holds h JOIN uid_span s ON s.person = h.person AND s.entry = h.entry
    WHERE h.kind = 'uid' AND h.what <> ''
  ),
  account_held AS (
    SELECT DISTINCT h.person, h.what
    FROM holds h LEFT JOIN holds m ON m.person = h.person AND m.what = h.what AND m.kind = 'mistake'
    WHERE h.kind = 'account' AND h.what <> '' AND m.entry IS NULL
  ),
  shared AS (
    SELECT a.person, b.person AS other
    FROM account_held a JOIN account_held b ON b.what = a.what AND b.person <> a.person
    UNION
    SELECT a.person, b.person
    FROM uid_held a JOIN uid_held b ON b.what = a.what AND b.person <> a.person AND b.since < a.until AND a.since < b.until
  ),
  same(person, other) AS (
    SELECT DISTINCT person, person FROM person
    UNION
    SELECT s.person, h.other FROM same s JOIN shared h ON h.person = s.other
  ),
  human AS (SELECT person, MIN(other) AS human FROM same GROUP BY person),
  mark AS (
    SELECT person, other AS mark FROM same
    UNION
    SELECT s.person, u.what FROM same s JOIN uid_held u ON u.person = s.other
  ),
  finish AS (SELECT request, MAX(state) AS state, MIN(entry) AS entry, MIN(ts_ms) AS ts_ms FROM ended GROUP BY request),
  -- Approvals that count: of the same bytes, in time, out of a place that was filled, by somebody who has no other part in it,
  -- is on the roster, and whose key was not revoked before the request ended; a person and whom they stand in for are one voice.
  barred AS (
    SELECT DISTINCT v.entry
    FROM voice v JOIN request r ON r.request = v.request JOIN mark m ON m.person = v.voice
    WHERE instr(' ' || r.initiator || ' ' || r.owner || ' ' || r.authors || ' ' || r.parties || ' ' || r.uids || ' ', ' ' || m.mark || ' ') > 0
  ),
  revoked AS (SELECT "key", MIN(entry) AS entry FROM person_key WHERE event = 'revoked' GROUP BY "key"),
  outside AS (
    SELECT person, entry, event, COALESCE(LEAD(entry) OVER (PARTITION BY person ORDER BY entry), 9007199254740991) AS until
    FROM person WHERE event IN ('enrolled', 'removed', 'restored')
  ),
  filled AS (SELECT DISTINCT request, person FROM placed),
  valid AS (
    SELECT a.entry, a.request, a.ts_ms
    FROM approval a
      JOIN request r ON r.request = a.request
      JOIN finish e ON e.request = a.request AND e.state = 'approved' AND a.entry < e.entry
      JOIN filled f ON f.request = a.request AND f.person = a.person
      LEFT JOIN revoked k ON k."key" = a."key" AND a."key" <> '' AND k.entry < e.entry
      LEFT JOIN outside o ON o.person = a.person AND o.event = 'removed' AND o.entry < e.entry AND o.until > e.entry
    WHERE a.choice = 'approve' AND a.digest = r.digest AND k.entry IS NULL AND o.entry IS NULL
      AND a.entry NOT IN (SELECT entry FROM barred)
  ),
  word AS (
    SELECT v.request, v.entry, MIN(v.entry) OVER (PARTITION BY v.request, h.human) AS first
    FROM valid k CROSS JOIN voice v CROSS JOIN human h
    WHERE v.entry = k.entry AND h.person = v.voice
  ),
  counted AS (SELECT request, entry FROM word GROUP BY request, entry HAVING MIN(first) = entry),
  given AS (SELECT request, COUNT(*) AS n FROM counted GROUP BY request),
  member AS (
    SELECT e.entry, e.ts_ms, r.request, r.needed_n + r.extra_n AS needed
    FROM finish e JOIN request r ON r.request = e.request
    WHERE e.state = 'approved' AND r.needed_n + r.extra_n >= 2
      AND e.ts_ms >= (SELECT since_ms FROM period) AND e.ts_ms < (SELECT until_ms FROM period)
      AND r.request NOT IN (SELECT request FROM breakglass WHERE event = 'used')
  )
SELECT m.entry, m.ts_ms, m.request AS subject,
  CASE
    WHEN COALESCE(g.n, 0) < m.needed THEN CAST(COALESCE(g.n, 0) AS TEXT) || ' of ' || CAST(m.needed AS TEXT) || ' people approved it'
    ELSE ''
  END AS exception
FROM member m LEFT JOIN given g ON g.request = m.request
ORDER BY 1, 3, 4
