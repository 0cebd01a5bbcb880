-- The targets' own logs beside Keyturn's: what they saw with and without an action behind it, and what ran here that they did not see.
-- since: one day; actions are looked for an hour around it, and up to the last event that was compared
with seen as (
  select t.source, t.target, t.credential,
    coalesce(t.events_n, 1) as events_n,
    case when a.action is not null or t.how in ('in_session', 'counted') then 1 else 0 end as accounted,
    case when t.how = 'within' then 1 else 0 end as inside
  from target_event t
  left join (
    select action from action where ts_s >= :since - 3600 and ts_s < :until + 3600 and ran_s is not null
  ) a on a.action = t.action and t.action <> ''
  where t.happened_s >= :since and t.happened_s < :until
), compared as (
  select target, max(happened_s) as last_s
  from target_event
  where happened_s >= :since and happened_s < :until
  group by target
), ran as (
  select a.target, a.action
  from action a
  join compared c on c.target = a.target
  where a.ts_s >= :since and a.ts_s < :until and a.ran_s is not null
    and a.ran_s <= c.last_s
), unseen as (
  select r.target, count(*) as times
  from ran r
  left join target_event t on t.action = r.action
  where t.action is null
  group by r.target
)
select 'in the target' as what, source, target, credential,
  cast(sum(events_n) as bigint) as events,
  cast(sum((1 - accounted) * (1 - inside) * events_n) as bigint) as without_the_other,
  cast(sum(accounted * events_n) as double) / cast(sum(events_n) as double) as coverage
from seen
group by source, target, credential
union all
select 'only in Keyturn' as what, '' as source, r.target, '' as credential,
  count(*) as events,
  cast(max(coalesce(u.times, 0)) as bigint) as without_the_other,
  1.0 - cast(max(coalesce(u.times, 0)) as double) / cast(count(*) as double) as coverage
from ran r
left join unseen u on u.target = r.target
group by r.target
order by what, source, target, credential
