-- Every relation that holds rows of its own, and what is left out, biggest first. Those in schemas of runs are no part of it.
select c.relkind::text,
       c.relpersistence::text,
       n.nspname::text,
       c.relname::text,
       coalesce(pg_catalog.pg_table_size(c.oid), 0),
       c.relispopulated,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
       row_security_active(c.oid),
       e.extname::text,
       a.names,
       a.kinds,
       a.bases,
       a.outputs,
       pg_catalog.pg_is_in_recovery()
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_depend d
         on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_extension'::regclass and d.deptype = 'e'
  left join pg_catalog.pg_extension e on e.oid = d.refobjid
 cross join lateral (
       select coalesce(array_agg(a.attname::text order by a.attname collate "C"), '{}') as names,
              coalesce(array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attname collate "C"), '{}') as kinds,
              coalesce(array_agg(case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text else '' end
                                 order by a.attname collate "C"), '{}') as bases,
              coalesce(array_agg(t.typoutput::text order by a.attname collate "C"), '{}') as outputs
         from pg_catalog.pg_attribute a
         join pg_catalog.pg_type t on t.oid = a.atttypid
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) a
 where c.relkind in ('r', 'm', 'f')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema')
   and n.nspname !~ '^pg_toast'
   and not (starts_with(n.nspname, 'runsheet_') and coalesce(starts_with(obj_description(n.oid, 'pg_namespace'), '{"runsheet":'), false))
 order by 5 desc, 3, 4
