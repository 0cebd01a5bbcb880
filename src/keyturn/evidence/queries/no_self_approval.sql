-- Nobody approves what they have another part in
-- population: approvals given in the period, break-glass included; drills are no approvals
-- exception: the approver, or somebody for whom they stood in, asked for it, owns the agent, wrote it, or stands behind the session:
-- by id, by an account that two records share, or by the operating-system account
-- (records that turn out to be one human later were one all along)
-- rests on: approval request person
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
  part AS (
    SELECT v.entry, v.person, v.voice, m.mark,
      CASE
        WHEN m.mark = r.initiator THEN 1
        WHEN m.mark = r.owner THEN 2
        WHEN instr(' ' || r.authors || ' ', ' ' || m.mark || ' ') > 0 THEN 3
        WHEN instr(' ' || r.parties || ' ' || r.uids || ' ', ' ' || m.mark || ' ') > 0 THEN 4
      END AS rank
    FROM voice v JOIN request r ON r.request = v.request JOIN mark m ON m.person = v.voice
    WHERE v.ts_ms >= (SELECT since_ms FROM period) AND v.ts_ms < (SELECT until_ms FROM period)
  ),
  worst AS (SELECT entry, MIN(rank) AS rank FROM part WHERE rank IS NOT NULL GROUP BY entry),
  said AS (
    SELECT p.entry, MIN(CASE p.rank WHEN 1 THEN 'initiator ' WHEN 2 THEN 'agent''s owner ' WHEN 3 THEN 'author ' ELSE 'party ' END || p.mark) AS words,
      MIN(p.voice) AS voice, MIN(p.person) AS person
    FROM part p JOIN worst w ON w.entry = p.entry AND w.rank = p.rank
    GROUP BY p.entry
  )
SELECT a.entry, a.ts_ms, a.request AS subject,
  CASE
    WHEN s.entry IS NULL THEN ''
    WHEN s.voice <> s.person THEN 'approved by ' || a.person || ' for ' || s.voice || ', its ' || s.words
    ELSE 'approved by ' || a.person || ', its ' || s.words
  END AS exception
FROM approval a LEFT JOIN said s ON s.entry = a.entry
WHERE a.choice = 'approve' AND a.ts_ms >= (SELECT since_ms FROM period) AND a.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
