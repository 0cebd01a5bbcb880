-- One session from its opening to its end: actions, approvals and findings in the order of the log.
-- session: the session's id
select entry, ts_s, 'session' as what, session as id, agent as who, person as subject, gate as detail, '' as state
from session where session = :session
union all
select entry, ts_s, 'action' as what, action as id, agent as who, category as subject, program as detail,
  case when outcome <> '' then outcome else verdict end as state
from action where session = :session
union all
select entry, ts_s, 'approval' as what, request as id, person as who, initiator as subject, channel as detail, choice as state
from approval where session = :session
union all
select entry, ts_s, 'finding' as what, finding as id, agent as who, kind as subject, severity as detail, state
from finding where session = :session
order by entry, what
