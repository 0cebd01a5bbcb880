-- What an agent did for the first time: (program, category, target) that it had never asked for before.
-- since: the period in which it is new
select agent, program, category, target,
  min(ts_s) as first_s,
  count(*) as times,
  min(entry) as entry
from action
where ts_s < :until
group by agent, program, category, target
having min(ts_s) >= :since
order by first_s, entry
