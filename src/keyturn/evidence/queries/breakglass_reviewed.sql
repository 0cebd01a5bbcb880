-- What somebody released alone was reviewed by somebody else in time
-- population: uses of break-glass in the period
-- exception: nobody reviewed it by when it had to be, by whom it was used, by somebody with another part in it, too late, or it was
-- found unjustified. One that is not due yet is none
-- rests on: breakglass request person
-- settings: breakglass_review_h=72 (hours until somebody else has to have reviewed it, where policy does not ask for less)
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
  now AS (SELECT MAX(ts_ms) AS ms FROM event),
  looked AS (
    SELECT use_id, MIN(entry) AS entry, MIN(ts_ms) AS ts_ms, MIN(person) AS person, MIN(verdict) AS verdict
    FROM breakglass WHERE event = 'reviewed' GROUP BY use_id
  ),
  member AS (
    SELECT b.entry, b.ts_ms, b.use_id, b.person, b.request,
      CASE WHEN b.review_by_ms < b.ts_ms + h.ms THEN b.review_by_ms ELSE b.ts_ms + h.ms END AS due
    FROM breakglass b
      CROSS JOIN (SELECT CAST(value * 3600000 AS BIGINT) AS ms FROM setting WHERE name = 'breakglass_review_h') h
    WHERE b.event = 'used' AND b.ts_ms >= (SELECT since_ms FROM period) AND b.ts_ms < (SELECT until_ms FROM period)
  ),
  part AS (
    SELECT DISTINCT m.use_id
    FROM member m JOIN looked l ON l.use_id = m.use_id JOIN mark k ON k.person = l.person JOIN request r ON r.request = m.request
    WHERE instr(' ' || r.initiator || ' ' || r.owner || ' ' || r.authors || ' ' || r.parties || ' ' || r.uids || ' ', ' ' || k.mark || ' ') > 0
  ),
  itself AS (
    SELECT DISTINCT m.use_id
    FROM member m JOIN looked l ON l.use_id = m.use_id JOIN same s ON s.person = l.person AND s.other = m.person
  )
SELECT m.entry, m.ts_ms, m.use_id AS subject,
  CASE
    WHEN l.use_id IS NULL AND n.ms >= m.due THEN 'nobody reviewed what ' || m.person || ' released alone'
    WHEN l.use_id IS NULL THEN ''
    WHEN l.person = m.person OR m.use_id IN (SELECT use_id FROM itself) THEN l.person || ' reviewed what they had released themselves'
    WHEN m.use_id IN (SELECT use_id FROM part) THEN 'reviewed by ' || l.person || ', who has another part in it'
    WHEN l.verdict <> 'justified' THEN l.person || ' found it unjustified'
    WHEN l.ts_ms >= m.due THEN l.person || ' reviewed it too late'
    ELSE ''
  END AS exception
FROM member m CROSS JOIN now n LEFT JOIN looked l ON l.use_id = m.use_id
ORDER BY 1, 3, 4
