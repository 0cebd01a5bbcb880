-- What an agent did for the first time: (program, category, target) that it had never asked for before.
-- since: the period in which it is new
with asked as (
  select agent, program, category, target, min(ts_s) as first_s, count(*) as times, min(entry) as entry
  from action
  where ts_s >= :since and ts_s < :until
  group by agent, program, category, target
), known as (
  select distinct agent, program, category, target
  from action
  where ts_s < :since and ts_s < :until
)
select a.agent, a.program, a.category, a.target, a.first_s, a.times, a.entry
from asked a
left join known k on k.agent = a.agent and k.program = a.program and k.category = a.category and k.target = a.target
where k.agent is null
order by a.first_s, a.entry
