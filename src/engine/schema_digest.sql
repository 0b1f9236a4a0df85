-- One digest of everything in a schema that a plan relies on, and the server's version.
with parts as (
    select 'column' as kind,
           format('%I.%I.%I', n.nspname, c.relname, a.attname) as name,
           format('%s %s %s %s', c.relkind, a.atttypid::regtype, a.atttypmod, a.attnotnull) as what
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'index', format('%I.%I', n.nspname, c.relname), format('%s %s', i.indisvalid, i.indisunique)
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'constraint', format('%I.%s', n.nspname, o.conname), format('%s %s %s', o.conrelid::regclass, o.contype, o.convalidated)
    from pg_catalog.pg_constraint o
    join pg_catalog.pg_namespace n on n.oid = o.connamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'function', format('%I.%I', n.nspname, p.proname), md5(p.prosrc)
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
)
select current_setting('server_version') as server,
       md5(coalesce(string_agg(kind || ' ' || name || ' ' || what, e'\n' order by kind, name, what), '')) as schema
from parts
