-- Every relation that holds rows of its own, and what is left out, biggest first.
select c.relkind::text,
       c.relpersistence::text,
       n.nspname::text,
       c.relname::text,
       coalesce(pg_catalog.pg_table_size(c.oid), 0),
       c.relispopulated,
       has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select') as readable,
       row_security_active(c.oid),
       e.extname::text,
       array(select a.attname::text from pg_catalog.pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname collate "C"),
       array(select pg_catalog.format_type(a.atttypid, a.atttypmod) from pg_catalog.pg_attribute a
              where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attname collate "C"),
       pg_catalog.pg_is_in_recovery()
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_depend d
         on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.objsubid = 0
        and d.refclassid = 'pg_catalog.pg_extension'::regclass and d.deptype = 'e'
  left join pg_catalog.pg_extension e on e.oid = d.refobjid
 where c.relkind in ('r', 'm', 'f')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema')
   and n.nspname !~ '^pg_toast'
 order by 5 desc, 3, 4
