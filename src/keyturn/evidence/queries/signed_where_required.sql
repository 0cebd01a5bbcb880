-- Who approves does so as surely as is asked
-- population: approvals given in the period
-- exception: the level that was verified is lower than what the request asks for, it is said to be signed and has no signature or no key, or
-- the statement's nonce was used before. That signatures hold is checked apart from this
-- rests on: approval request
WITH
  level(name, rank) AS (
    SELECT 'click', 0 UNION ALL SELECT 'idp', 1 UNION ALL SELECT 'signed', 2 UNION ALL SELECT 'signed+hardware', 3
  ),
  again AS (SELECT nonce, MIN(entry) AS first FROM approval WHERE nonce <> '' GROUP BY nonce HAVING COUNT(*) > 1)
SELECT a.entry, a.ts_ms, a.request AS subject,
  CASE
    WHEN r.request IS NULL THEN 'its request is not in the log'
    WHEN g.first < a.entry THEN 'its statement was used at entry ' || CAST(g.first AS TEXT)
    WHEN r.assurance <> '' AND (w.rank IS NULL OR h.rank IS NULL OR h.rank < w.rank)
      THEN a.person || ' approved by ' || a.assurance || ', and ' || r.assurance || ' is asked for'
    WHEN a.assurance <> 'click' AND a.signed = 0 THEN a.person || ' approved by ' || a.assurance || ', and nothing shows it'
    WHEN a.assurance IN ('signed', 'signed+hardware') AND a."key" = '' THEN a.person || ' approved by ' || a.assurance || ', and no key is named'
    ELSE ''
  END AS exception
FROM approval a
  LEFT JOIN request r ON r.request = a.request
  LEFT JOIN level w ON w.name = r.assurance
  LEFT JOIN level h ON h.name = a.assurance
  LEFT JOIN again g ON g.nonce = a.nonce
WHERE a.choice = 'approve' AND a.ts_ms >= (SELECT since_ms FROM period) AND a.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
