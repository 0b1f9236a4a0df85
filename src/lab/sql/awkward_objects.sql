-- Row security, large objects, triggers in every state, and objects that stand beside tables.

-- Who is no owner sees the rows of one tenant and no error; no policy names a role, which another server would lack.
create table odd.tenant_notes (id integer primary key, tenant text not null, author name not null default current_user, note text);
insert into odd.tenant_notes select n, 'tenant' || n % 3, 'app', 'note ' || n from generate_series(1, 30) n;
alter table odd.tenant_notes enable row level security;
create policy of_tenant on odd.tenant_notes for select using (tenant = current_setting('app.tenant', true));
create policy of_author on odd.tenant_notes as restrictive for update using (author = current_user) with check (note <> '');
grant select on odd.tenant_notes to public;
grant usage on schema odd to public;
-- Policies that wait for the day on which they are switched on.
create table odd.not_yet_secured (id integer primary key);
create policy nobody on odd.not_yet_secured for all using (false);

-- Large objects, found by the numbers in a table; one is in no table, one is empty.
create table odd.attachments (id integer primary key, name text, content oid);
insert into odd.attachments select n, 'file ' || n, lo_from_bytea((4200000 + n)::oid, decode(repeat(md5(n::text), n * 200), 'hex')) from generate_series(1, 10) n;
select lo_from_bytea(4200100, '\x00ff00ff');
select lo_from_bytea(4200101, '');
comment on large object 4200100 is 'Belongs to nobody.';

create table odd.watched (id integer primary key, n integer not null default 0, seen text);
insert into odd.watched select n, n * n from generate_series(1, 5) n;
create function odd.see() returns trigger language plpgsql security definer set search_path = pg_catalog as $$ begin new.seen := tg_name; return new; end $$;
create trigger a_normal before update of n on odd.watched for each row execute function odd.see();
create trigger b_disabled before insert on odd.watched for each row execute function odd.see();
create trigger c_replica before insert on odd.watched for each row execute function odd.see();
create trigger d_always before insert on odd.watched for each row execute function odd.see();
alter table odd.watched disable trigger b_disabled, enable replica trigger c_replica, enable always trigger d_always;
create view odd.watched_view as select id, n from odd.watched where n > 1 with local check option;
create function odd.instead() returns trigger language plpgsql as $$ begin return null; end $$;
create view odd.joined as select w.id, e.note from odd.watched w left join odd.empty e using (id);
create trigger instead_of instead of insert on odd.joined for each row execute function odd.instead();
create rule no_deletes as on delete to odd.watched do instead nothing;
create recursive view odd.countdown_view (n) as values (3) union all select n - 1 from countdown_view where n > 0;

create aggregate odd.product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '1');
create function odd.same_parity(integer, integer) returns boolean language sql immutable as $$ select ($1 - $2) % 2 = 0 $$;
create operator odd.=%= (leftarg = integer, rightarg = integer, function = odd.same_parity, commutator = operator(odd.=%=));
create text search configuration odd.plain (copy = simple);
create materialized view odd.of_a_view as select id, n * 2 as twice from odd.watched_view;
alter table odd.watched replica identity full;
alter table odd.numbered alter net set statistics 500;
alter table odd.no_key set (fillfactor = 70, autovacuum_enabled = false);
create index numbers_with_nulls on odd.numbers (f8) where f8 is null;
create index numbers_by_hash on odd.numbers using hash (id);
create index times_by_brin on odd.times using brin (day);
alter default privileges in schema odd grant select on tables to public;

-- Extensions that the owner of a database may create, each with a table that needs it, where the server has them.
do $$
declare
    extension text;
begin
    foreach extension in array array['citext', 'hstore', 'pg_trgm', 'btree_gist'] loop
        if exists (select from pg_available_extensions where name = extension) then
            execute format('create extension %I schema public', extension);
        end if;
    end loop;
    if exists (select from pg_extension where extname = 'citext') then
        create table odd.case_blind (mail citext primary key);
        insert into odd.case_blind values ('Ada@Example.org'), ('bela@example.org');
    end if;
    if exists (select from pg_extension where extname = 'hstore') then
        create table odd.pairs (id integer primary key, h hstore);
        insert into odd.pairs values (1, 'a=>1, b=>NULL'), (2, ''), (3, '"k ey"=>"v,al"');
    end if;
    if exists (select from pg_extension where extname = 'pg_trgm') then
        create index test_cycles_title on test_cycles using gin (title gin_trgm_ops);
    end if;
end $$;
