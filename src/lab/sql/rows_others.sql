-- Users, test cycles and payouts: 325 of 1,000 rows.

insert into users (id, email, name, plan, settings, balance, created_at, deleted_at)
select n,
       'user' || n || '@example.org',
       (array['Ada', 'Bela', 'Chloé', 'Дана', 'Emre', '雅', 'Ilse', 'Jón'])[1 + pg_temp.pick(n, 11, 8)] || ' ' || substr(md5(n::text), 1, 8),
       (enum_range(null::plan))[1 + pg_temp.pick(n, 12, 3)],
       jsonb_build_object('language', (array['en', 'de', 'kk'])[1 + pg_temp.pick(n, 13, 3)], 'mail', n % 2 = 0),
       pg_temp.pick(n, 14, 100000) / 100.0,
       timestamptz '2020-01-01 00:00:00+00' + n * interval '7 minutes 13.000017 seconds',
       case when n % 31 = 0 then timestamptz '2024-06-01 12:00:00+00' + n * interval '1 second' end
from generate_series(1, pg_temp.share(50)) n;

insert into test_cycles (id, title, owner_id, starts_on, ends_on, budget)
select n,
       'Cycle ' || n,
       1 + pg_temp.pick(n, 21, pg_temp.share(50)),
       date '2021-01-01' + (n % 1500)::integer,
       date '2021-01-01' + (n % 1500)::integer + pg_temp.pick(n, 22, 30)::integer,
       case when n % 7 > 0 then pg_temp.pick(n, 23, 1000000) / 100.0 end
from generate_series(1, pg_temp.share(25)) n;

insert into issue_payouts (id, issue_id, user_id, amount, currency, paid_on, note)
overriding system value
select n,
       1 + pg_temp.pick(n, 31, pg_temp.share(600)),
       1 + pg_temp.pick(n, 32, pg_temp.share(50)),
       pg_temp.pick(n, 33, 50000) / 100.0,
       (array['EUR', 'USD', 'KZT'])[1 + pg_temp.pick(n, 34, 3)],
       case when n % 6 > 0 then date '2022-01-01' + pg_temp.pick(n, 35, 1400)::integer end,
       -- Neither of these two is the other, nor is either of them nothing.
       case n % 9 when 0 then '' when 1 then ' ' when 2 then null else 'batch ' || n / 100 end
from generate_series(1, pg_temp.share(250)) n;

select setval(pg_get_serial_sequence('users', 'id'), max(id)) from users;
select setval(pg_get_serial_sequence('test_cycles', 'id'), max(id)) from test_cycles;
select setval(pg_get_serial_sequence('issue_payouts', 'id'), max(id)) from issue_payouts;
