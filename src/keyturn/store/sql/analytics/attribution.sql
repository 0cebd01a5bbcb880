-- Who stood behind what: for each agent and day, actions with a part of their attribution missing, and how many people and definitions.
-- since: the first day
select agent, ts_s - ts_s % 86400 as day_s,
  count(*) as actions,
  cast(sum(case when person = '' then 1 else 0 end) as bigint) as no_person,
  cast(sum(case when instruction_sha = '' then 1 else 0 end) as bigint) as no_instruction,
  cast(sum(case when reasoning_sha = '' then 1 else 0 end) as bigint) as no_reasoning,
  cast(sum(case when definition = '' then 1 else 0 end) as bigint) as no_definition,
  count(distinct person) as people,
  count(distinct definition) as definitions,
  count(distinct gate) as gates
from action
where ts_s >= :since and ts_s < :until
group by agent, ts_s - ts_s % 86400
order by agent, day_s
