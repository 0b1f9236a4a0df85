-- One digest of everything in a schema that a plan relies on, and the server's version.
with parts as (
    select 'column' as kind,
           format('%I.%I.%I', n.nspname, c.relname, a.attname) as name,
           format('%s %s %s %s %s %s %s', c.relkind, a.atttypid::regtype, a.atttypmod, a.attnotnull, a.attidentity,
                  a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid)) as what
    from pg_catalog.pg_attribute a
    join pg_catalog.pg_class c on c.oid = a.attrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'index', format('%I.%I', n.nspname, c.relname), format('%s %s', i.indisvalid, pg_catalog.pg_get_indexdef(i.indexrelid))
    from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'constraint', format('%I.%s', n.nspname, o.conname), format('%s %s %s', o.conrelid::regclass, o.convalidated, pg_catalog.pg_get_constraintdef(o.oid))
    from pg_catalog.pg_constraint o
    join pg_catalog.pg_namespace n on n.oid = o.connamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'function', format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)),
           md5(format('%s %s %s %s %s %s', p.prosrc, p.probin, p.provolatile, p.prosecdef, p.proconfig, p.prorettype::regtype))
    from pg_catalog.pg_proc p
    join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'relation', format('%I.%I', n.nspname, c.relname),
           format('%s %s %s %s', c.relkind, c.relrowsecurity, c.relforcerowsecurity,
                  md5(case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end))
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    union all
    select 'trigger', format('%s.%I', t.tgrelid::regclass, t.tgname),
           format('%s %s', t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid))
    from pg_catalog.pg_trigger t
    where not t.tgisinternal
    union all
    select 'policy', format('%s.%I', p.polrelid::regclass, p.polname),
           format('%s %s %s %s', p.polcmd, p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                  pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
    from pg_catalog.pg_policy p
    union all
    select 'enum', format('%s', e.enumtypid::regtype), string_agg(e.enumlabel, ',' order by e.enumsortorder)
    from pg_catalog.pg_enum e
    group by e.enumtypid
    union all
    select 'extension', x.extname, x.extversion
    from pg_catalog.pg_extension x
)
select current_setting('server_version') as server,
       md5(coalesce(string_agg(kind || ' ' || name || ' ' || what, e'\n' order by kind, name, what), '')) as schema
from parts
