-- The issues, 600 of 1,000 rows, in two parts that two sessions insert at the same time. The newest was created a minute before `lab.at`, each other one two minutes before the next:
-- what looks for recent rows finds them.

insert into issues (id, cycle_id, reporter_id, state, severity, title, body, tags, details, created_at, updated_at)
select n,
       1 + pg_temp.pick(n, 1, pg_temp.share(25)),
       1 + pg_temp.pick(n, 2, pg_temp.share(50)),
       (enum_range(null::issue_state))[1 + pg_temp.pick(n, 3, 5)],
       1 + pg_temp.pick(n, 4, 5),
       'Issue ' || n || ': ' || (array['login fails', 'page is blank', 'sum is wrong', 'text overflows', 'crash on save'])[1 + pg_temp.pick(n, 5, 5)],
       case when n % 3 > 0 then 'Steps: ' || md5(n::text) || E'\nSeen: ' || md5((-n)::text) end,
       case when n % 4 = 0 then array['regression', 'p' || pg_temp.pick(n, 6, 4)] else '{}' end,
       case when n % 5 = 0 then jsonb_build_object('browser', 'b' || pg_temp.pick(n, 7, 9), 'build', n % 977, 'flags', jsonb_build_array(n % 2 = 0, null)) end,
       current_setting('lab.at')::timestamptz - interval '1 minute' - (pg_temp.share(600) - n) * interval '2 minutes',
       current_setting('lab.at')::timestamptz - interval '1 minute' - (pg_temp.share(600) - n) * interval '1 minute'
from generate_series(
    case current_setting('lab.part') when '1' then 1 else pg_temp.share(350) + 1 end,
    case current_setting('lab.part') when '1' then pg_temp.share(350) else pg_temp.share(600) end) n;
