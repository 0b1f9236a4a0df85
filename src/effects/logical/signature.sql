-- A number that changes whenever a definition does: every change of one writes a new row into a catalog. It also changes when
-- a table gets another file, by TRUNCATE or REINDEX; what really differs is then looked at by name.
with ours as (
    select n.oid, n.xmin from pg_catalog.pg_namespace n
     where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
       and not (starts_with(n.nspname, 'runsheet_') and coalesce(starts_with(obj_description(n.oid, 'pg_namespace'), '{"runsheet":'), false))),
relations as (select c.oid, c.xmin from pg_catalog.pg_class c where c.relnamespace in (select oid from ours)),
seen(what, oid, xmin) as (
    select 1, oid, xmin from ours
    union all select 2, oid, xmin from relations
    union all select 3, a.attrelid, a.xmin from pg_catalog.pg_attribute a join relations r on r.oid = a.attrelid where a.attnum > 0
    union all select 4, d.oid, d.xmin from pg_catalog.pg_attrdef d join relations r on r.oid = d.adrelid
    union all select 5, c.oid, c.xmin from pg_catalog.pg_constraint c where c.connamespace in (select oid from ours)
    union all select 6, i.indexrelid, i.xmin from pg_catalog.pg_index i join relations r on r.oid = i.indrelid
    union all select 7, p.oid, p.xmin from pg_catalog.pg_proc p where p.pronamespace in (select oid from ours)
    union all select 8, t.oid, t.xmin from pg_catalog.pg_trigger t join relations r on r.oid = t.tgrelid
    union all select 9, t.oid, t.xmin from pg_catalog.pg_type t where t.typnamespace in (select oid from ours)
    union all select 10, e.oid, e.xmin from pg_catalog.pg_enum e
    union all select 11, w.oid, w.xmin from pg_catalog.pg_rewrite w join relations r on r.oid = w.ev_class
    union all select 12, p.oid, p.xmin from pg_catalog.pg_policy p join relations r on r.oid = p.polrelid
    union all select 13, s.seqrelid, s.xmin from pg_catalog.pg_sequence s join relations r on r.oid = s.seqrelid
    union all select 14, i.inhrelid, i.xmin from pg_catalog.pg_inherits i join relations r on r.oid = i.inhrelid
    union all select 15, e.oid, e.xmin from pg_catalog.pg_extension e
    union all select 16, e.oid, e.xmin from pg_catalog.pg_event_trigger e
    union all select 17, s.oid, s.xmin from pg_catalog.pg_statistic_ext s where s.stxnamespace in (select oid from ours))
select coalesce(sum(hashint8extended(oid::int8 # (xmin::text::int8 << 32), what)), 0)::text || ' ' || count(*) from seen
