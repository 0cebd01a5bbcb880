-- Who changes what counts needs somebody else
-- population: changes made in the period that let more happen: policies, groups, roles and accounts of people, keys, approved definitions,
-- configurations and baselines, lifted holds and responses, erasures, tokens for SCIM. Not what the identity provider or SCIM says of
-- people, nor gates and credentials (one administrator's), nor what only takes away
-- exception: no approved request behind it, too few people approved it, who asked approved it, or the request was used before
-- rests on: change person request approval ended person_key erasure hold response
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
  named AS (
    SELECT person, kind, entry, COALESCE(LAG(entry) OVER (PARTITION BY person, kind ORDER BY entry), -1) AS before
    FROM holds WHERE what = ''
  ),
  gained AS (
    SELECT DISTINCT n.entry
    FROM named n JOIN holds h ON h.person = n.person AND h.kind = n.kind AND h.entry = n.entry AND h.what <> ''
      LEFT JOIN holds o ON o.person = n.person AND o.kind = n.kind AND o.entry = n.before AND o.what = h.what
    WHERE o.entry IS NULL AND (n.kind IN ('group', 'account', 'uid', 'mistake') OR h.what IN ('admin', 'author'))
    UNION
    SELECT DISTINCT n.entry
    FROM named n JOIN holds o ON o.person = n.person AND o.kind = n.kind AND o.entry = n.before AND o.what <> ''
      LEFT JOIN holds h ON h.person = n.person AND h.kind = n.kind AND h.entry = n.entry AND h.what = o.what
    WHERE h.entry IS NULL AND (n.kind IN ('account', 'uid') OR o.what = 'auditor')
  ),
  made AS (
    SELECT entry, ts_ms, type, object, "by" AS who, request, alone FROM change
    WHERE genesis = 0 AND "by" NOT IN ('scim', 'provider')
      AND (type IN ('policy.published', 'key.enrolled', 'definition.approved', 'configuration.approved', 'baseline.pinned', 'person.restored')
        OR (type = 'scim.token' AND object <> '')
        OR (type IN ('person.enrolled', 'person.changed') AND entry IN (SELECT entry FROM gained)))
    UNION ALL SELECT entry, ts_ms, 'erasure.done', erasure, "by", request, 0 FROM erasure
    UNION ALL SELECT entry, ts_ms, 'legalhold.lifted', hold, "by", request, 0 FROM hold WHERE event = 'lifted'
    UNION ALL SELECT entry, ts_ms, 'response.lifted', response, "by", request, 0 FROM response WHERE event = 'lifted' AND "by" <> ''
  ),
  before AS (SELECT request, MIN(entry) AS entry FROM made WHERE request <> '' GROUP BY request)
SELECT m.entry, m.ts_ms, m.object AS subject,
  CASE
    WHEN m.alone = 1 THEN m.type || ' by ' || m.who || ' alone: there was no other administrator'
    WHEN m.request = '' THEN m.type || CASE WHEN m.who = '' THEN '' ELSE ' by ' || m.who END || ' without a request'
    WHEN r.request IS NULL THEN m.type || ': its request ' || m.request || ' is not in the log'
    WHEN e.request IS NULL OR e.state <> 'approved' OR e.entry > m.entry THEN m.type || ': its request was not approved before'
    WHEN COALESCE(g.n, 0) < r.needed_n + r.extra_n
      THEN m.type || ': ' || CAST(COALESCE(g.n, 0) AS TEXT) || ' of ' || CAST(r.needed_n + r.extra_n AS TEXT) || ' people approved it'
    WHEN b.entry < m.entry THEN m.type || ': its request had let another change through before'
    ELSE ''
  END AS exception
FROM made m
  LEFT JOIN request r ON r.request = m.request
  LEFT JOIN finish e ON e.request = m.request
  LEFT JOIN given g ON g.request = m.request
  LEFT JOIN before b ON b.request = m.request
WHERE m.ts_ms >= (SELECT since_ms FROM period) AND m.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
