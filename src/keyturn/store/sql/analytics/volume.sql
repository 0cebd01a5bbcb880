-- Hours in which an agent asked a target for more than people look at one by one: actions and rows of any 3,600 seconds, to the second.
-- since: the period that is looked at, with the hour before it
-- least_actions: actions in an hour that count as many
-- least_rows: rows in an hour that count as many
-- 3,600 seconds touch three half hours of the clock, so one of them has a third of what is too much: only those and the two on both sides are looked at.
with third as (
  select agent, target, ts_s - ts_s % 1800 as half_s
  from action
  where ts_s >= :since - 3600 and ts_s < :until and verdict <> 'refuse'
  group by agent, target, ts_s - ts_s % 1800
  having 3 * count(*) >= :least_actions or 3 * sum(coalesce(row_count, 0)) >= :least_rows
), picked as (
  select agent, target, half_s - 3600 as half_s from third
  union
  select agent, target, half_s - 1800 as half_s from third
  union
  select agent, target, half_s from third
  union
  select agent, target, half_s + 1800 as half_s from third
  union
  select agent, target, half_s + 3600 as half_s from third
), moved as (
  select a.agent, a.target, a.ts_s, a.entry,
    count(*) over (partition by a.agent, a.target order by a.ts_s range between 3599 preceding and current row) as actions_h,
    sum(coalesce(a.row_count, 0)) over (partition by a.agent, a.target order by a.ts_s range between 3599 preceding and current row) as rows_h
  from action a
  join picked p on p.agent = a.agent and p.target = a.target and p.half_s = a.ts_s - a.ts_s % 1800
  where a.ts_s >= :since - 3600 and a.ts_s < :until and a.verdict <> 'refuse'
)
select agent, target,
  max(actions_h) as actions,
  cast(max(rows_h) as bigint) as row_count,
  min(ts_s) as first_s,
  max(ts_s) as last_s,
  min(entry) as entry
from moved
where ts_s >= :since and (actions_h >= :least_actions or rows_h >= :least_rows)
group by agent, target
order by agent, target
