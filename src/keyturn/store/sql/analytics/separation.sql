-- Separation of duties: approvals of one's own request or agent, actions that ran with too few people, and pairs who give each other half of their approvals.
-- since: the period that is looked at
with own as (
  select case when person = initiator then 'own request' else 'own agent' end as why,
    person, initiator as other, request, ts_s, entry, 1 as times
  from approval
  where ts_s >= :since and ts_s < :until and choice = 'approve' and (person = initiator or person = owner)
), few as (
  select 'too few people' as why, a.approvers as person, a.person as other, a.request, a.ts_s, a.entry, 1 as times
  from action a
  where a.ts_s >= :since and a.ts_s < :until and a.verdict = 'hold' and a.ran_s is not null and a.breakglass is null
    and a.grant_id = '' and a.plan_id = '' and a.approvers_n < a.needed_n
), given as (
  select person, initiator, count(*) as times, min(ts_s) as first_s, min(entry) as first_entry
  from approval
  where ts_s >= :since and ts_s < :until and choice = 'approve' and initiator <> '' and person <> initiator
  group by person, initiator
), all_given as (
  select person, sum(times) as total
  from given
  group by person
), mutual as (
  select 'each other' as why, a.person as person, b.person as other, '' as request,
    a.first_s as ts_s, a.first_entry as entry,
    case when a.times < b.times then a.times else b.times end as times
  from given a
  join given b on b.person = a.initiator and b.initiator = a.person
  join all_given x on x.person = a.person
  join all_given y on y.person = b.person
  where a.person < b.person and a.times >= 5 and b.times >= 5 and 2 * a.times >= x.total and 2 * b.times >= y.total
)
select why, person, other, request, ts_s, entry, times from own
union all
select why, person, other, request, ts_s, entry, times from few
union all
select why, person, other, request, ts_s, entry, times from mutual
order by entry, why
