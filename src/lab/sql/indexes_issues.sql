-- What the issues are looked up by.

select setval(pg_get_serial_sequence('issues', 'id'), max(id)) from issues;
alter table issues add constraint issues_pkey primary key (id);
create index issues_by_cycle on issues (cycle_id, state);
create index issues_by_reporter on issues (reporter_id);
create index issues_by_time on issues (created_at desc);
create index issues_open on issues (severity, id) where state in ('draft', 'open');
