-- What a freeze needs inside the database: its row, and the steps that must be one transaction of the server's.
-- CONTROL is the schema of the run. A person may call these by psql when everything else is gone:
--   begin read write; select CONTROL.freeze_lift(token, 'by hand', 'why') from CONTROL.freeze; commit
create table if not exists CONTROL.freeze (
    token text primary key,
    run text not null,
    state text not null check (state in ('guarded', 'armed', 'committed', 'lifted', 'opened')),
    guarded_at timestamptz not null default clock_timestamp(),
    deadline timestamptz not null,
    armed_at timestamptz,
    frozen_at timestamptz,
    ended_at timestamptz,
    ended_by text,
    why text,
    lsn pg_lsn,
    previous jsonb,
    allowed text[] not null default '{}',
    pooler text,
    resume jsonb
);
create unique index if not exists freeze_in_force on CONTROL.freeze ((true)) where state in ('guarded', 'armed', 'committed');

create or replace function CONTROL.freeze_setting(of_database oid, of_role oid) returns text
language sql set search_path = pg_catalog, pg_temp as $body$
    select split_part(entry, '=', 2) from pg_db_role_setting s, unnest(s.setconfig) entry
     where s.setdatabase = of_database and s.setrole = of_role and entry like 'default_transaction_read_only=%'
$body$;

-- Whose new sessions could write: by what is set for role and database, role, database, in this order.
create or replace function CONTROL.freeze_loose() returns text[]
language sql set search_path = pg_catalog, pg_temp as $body$
    select coalesce(array_agg(r.rolname::text order by r.rolname), '{}')
      from pg_roles r, pg_database d
     where d.datname = current_database() and r.rolcanlogin and has_database_privilege(r.oid, d.oid, 'connect')
       and not coalesce(CONTROL.freeze_setting(d.oid, r.oid), CONTROL.freeze_setting(0, r.oid),
                        CONTROL.freeze_setting(d.oid, 0), 'off')::boolean
$body$;

-- Sessions that are not this run's: whether each is from before the freeze, and whether it has begun to write.
create or replace function CONTROL.freeze_strangers(of_token text)
returns table (pid int, role text, application text, address text, since timestamptz, client boolean, early boolean, writing boolean)
language sql set search_path = pg_catalog, pg_temp as $body$
    select a.pid, a.usename::text, a.application_name, coalesce(host(a.client_addr), 'a local socket'), a.backend_start, c.client,
           c.client and not a.application_name = any (f.allowed)
               and coalesce(a.backend_start <= f.frozen_at, true),
           a.backend_xid is not null
      from CONTROL.freeze f, pg_stat_activity a,
           lateral (select coalesce(a.backend_type, 'client backend') = 'client backend') c (client)
     where f.token = of_token and a.datname = current_database() and a.pid <> pg_backend_pid()
       and not starts_with(a.application_name, 'runsheet ' || f.run || ' ')
       and coalesce(a.backend_type, '') not in ('walsender', 'autovacuum worker', 'parallel worker')
       and coalesce(a.backend_type, '') not like 'logical replication%'
$body$;

-- Ends sessions; answers how many are still there. One that may not be ended stays, and is named by whoever asks next.
create or replace function CONTROL.freeze_end(pids int[]) returns int
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare one int; told int := 0;
begin
    foreach one in array coalesce(pids, '{}') loop
        begin
            told := told + pg_terminate_backend(one)::int;
        exception when insufficient_privilege then null;
        end;
    end loop;
    return told;
end $body$;

create or replace function CONTROL.freeze_put(of_role text, setting text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare what text := case when of_role is null then format('database %I', current_database())
                          else format('role %I in database %I', of_role, current_database()) end;
begin
    if setting is null then
        execute format('alter %s reset default_transaction_read_only', what);
    else
        execute format('alter %s set default_transaction_read_only = %L', what, setting);
    end if;
end $body$;

-- Puts every setting back to what it was.
create or replace function CONTROL.freeze_reset(previous jsonb) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare entry jsonb;
begin
    for entry in select * from jsonb_array_elements(coalesce(previous, '[]')) loop
        begin
            perform CONTROL.freeze_put(entry ->> 'role', entry ->> 'setting');
        exception when undefined_object then null; -- the role was dropped meanwhile
        end;
    end loop;
end $body$;

-- Arms what is guarded. Every role that may connect gets the setting itself: one of its own would outweigh the database's.
create or replace function CONTROL.freeze_arm(of_token text, allow text[]) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare
    f CONTROL.freeze; db oid; one record; before text; known jsonb := '[]'; frozen text[] := '{}'; names text[];
begin
    select * into f from CONTROL.freeze where token = of_token for update;
    if f.token is null or f.state not in ('guarded', 'armed') or clock_timestamp() >= f.deadline then
        return jsonb_build_object('ok', false, 'reason', 'over', 'state', f.state, 'deadline', f.deadline, 'why', f.why);
    end if;
    select array_agg(gid) into names from pg_prepared_xacts where database = current_database();
    if names is not null then
        return jsonb_build_object('ok', false, 'reason', 'prepared', 'names', names);
    end if;
    if f.state = 'guarded' then
        select oid into db from pg_database where datname = current_database();
        known := jsonb_build_array(jsonb_build_object('role', null, 'setting', CONTROL.freeze_setting(db, 0)));
        perform CONTROL.freeze_put(null, 'on');
        for one in select r.oid, r.rolname::text as name from pg_roles r
                    where r.rolcanlogin and has_database_privilege(r.oid, db, 'connect') order by 2 loop
            before := CONTROL.freeze_setting(db, one.oid);
            begin
                perform CONTROL.freeze_put(one.name, 'on');
                known := known || jsonb_build_object('role', one.name, 'setting', before);
                frozen := frozen || one.name;
            exception when insufficient_privilege then null; -- does no harm where nothing of its own stands against it
            end;
        end loop;
        names := CONTROL.freeze_loose();
        if names <> '{}' then
            raise exception using errcode = 'RS001', message = array_to_string(names, ', ');
        end if;
        update CONTROL.freeze set state = 'armed', armed_at = clock_timestamp(), previous = known, allowed = allow
         where token = of_token;
    end if;
    return jsonb_build_object('ok', true, 'roles', frozen);
end $body$;

-- Sessions from before the freeze are ended. Called again and again: one that was just coming in is not seen at first.
create or replace function CONTROL.freeze_settle(of_token text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare found_pids int[]; who jsonb;
begin
    -- Not before the settings are committed: who comes in until then has the old ones.
    update CONTROL.freeze set frozen_at = clock_timestamp() where token = of_token and frozen_at is null;
    select array_agg(pid), jsonb_agg(to_jsonb(s)) into found_pids, who from CONTROL.freeze_strangers(of_token) s where early;
    perform CONTROL.freeze_end(found_pids);
    return jsonb_build_object('left', coalesce(array_length(found_pids, 1), 0), 'who', coalesce(who, '[]'));
end $body$;

-- Whether the freeze is unbroken at this very moment.
create or replace function CONTROL.freeze_check(of_token text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare f CONTROL.freeze; names text[]; who jsonb;
begin
    select * into f from CONTROL.freeze where token = of_token;
    if f.state = 'committed' then
        return jsonb_build_object('ok', true, 'state', f.state);
    end if;
    if f.token is null or f.state <> 'armed' or clock_timestamp() >= f.deadline then
        return jsonb_build_object('ok', false, 'reason', 'over', 'state', f.state, 'deadline', f.deadline, 'why', f.why);
    end if;
    names := CONTROL.freeze_loose();
    if names <> '{}' then
        return jsonb_build_object('ok', false, 'reason', 'loose', 'names', names);
    end if;
    select array_agg(gid) into names from pg_prepared_xacts where database = current_database();
    if names is not null then
        return jsonb_build_object('ok', false, 'reason', 'prepared', 'names', names);
    end if;
    select jsonb_agg(to_jsonb(s)) into who from CONTROL.freeze_strangers(of_token) s where writing or early;
    if who is not null then
        return jsonb_build_object('ok', false, 'reason', 'strangers', 'who', who);
    end if;
    return jsonb_build_object('ok', clock_timestamp() < f.deadline, 'reason', 'over', 'state', f.state, 'deadline', f.deadline);
end $body$;

-- From here only forward. The row's lock is what makes this and every release exclude each other.
create or replace function CONTROL.freeze_commit(of_token text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare checked jsonb;
begin
    perform 1 from CONTROL.freeze where token = of_token for update;
    checked := CONTROL.freeze_check(of_token);
    if (checked ->> 'ok')::boolean then
        update CONTROL.freeze set state = 'committed', ended_at = clock_timestamp(), ended_by = 'engine',
               lsn = pg_current_wal_insert_lsn()
         where token = of_token and state = 'armed';
    end if;
    return checked;
end $body$;

-- Releases, unless that was done already or must not be done any more. Answers what the row says then.
create or replace function CONTROL.freeze_lift(of_token text, who text, because text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare f CONTROL.freeze; flipped boolean;
begin
    select * into f from CONTROL.freeze where token = of_token for update;
    flipped := f.state in ('guarded', 'armed');
    if flipped then
        perform CONTROL.freeze_reset(f.previous);
        update CONTROL.freeze set state = 'lifted', ended_at = clock_timestamp(), ended_by = who, why = because
         where token = of_token returning * into f;
    end if;
    return to_jsonb(f) || jsonb_build_object('flipped', coalesce(flipped, false));
end $body$;

-- Ends sessions that came in while everything was frozen: they would stay read-only for as long as they live. A run's sessions
-- say for themselves when they write, and whoever opens is often another run than the one that froze: it keeps its lock.
create or replace function CONTROL.freeze_thaw(of_token text, until timestamptz) returns int
language sql set search_path = pg_catalog, pg_temp as $body$
    select CONTROL.freeze_end((select array_agg(s.pid) from CONTROL.freeze_strangers(of_token) s, CONTROL.freeze f
                                where f.token = of_token and s.client and s.since >= f.armed_at and s.since <= until
                                  and not starts_with(s.application, 'runsheet ')))
$body$;

-- Makes a committed side writable again, for a way back.
create or replace function CONTROL.freeze_open(of_token text) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp as $body$
declare f CONTROL.freeze; flipped boolean;
begin
    select * into f from CONTROL.freeze where token = of_token for update;
    flipped := f.state = 'committed';
    if flipped then
        perform CONTROL.freeze_reset(f.previous);
        update CONTROL.freeze set state = 'opened' where token = of_token returning * into f;
    end if;
    return to_jsonb(f) || jsonb_build_object('flipped', coalesce(flipped, false));
end $body$;
