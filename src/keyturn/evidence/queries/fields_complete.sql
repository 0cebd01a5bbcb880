-- Each action says who, what, when, where and by which rule
-- population: actions decided on in the period
-- exception: no agent, no person, no gate, no digest, no kind, no verdict, no rule or no policy version; what an auditor is not shown is none
-- rests on: action
SELECT a.entry, a.ts_ms, a.action AS subject,
  CASE
    WHEN a.entry IN (SELECT entry FROM blind WHERE type = 'action.decided') THEN ''
    WHEN a.agent = '' THEN 'it does not say which agent'
    WHEN a.person = '' THEN 'it does not say for which person'
    WHEN a.gate = '' THEN 'it does not say at which gate'
    WHEN a.digest = '' OR a.kind = '' THEN 'it does not say what'
    WHEN a.verdict = '' THEN 'it does not say what was decided'
    WHEN a.policy = '' THEN 'it does not say under which policy'
    WHEN a.rules = '' AND a.reasons_n = 0 THEN 'it does not say by which rule, or why'
    ELSE ''
  END AS exception
FROM action a
WHERE a.ts_ms >= (SELECT since_ms FROM period) AND a.ts_ms < (SELECT until_ms FROM period)
ORDER BY 1, 3, 4
