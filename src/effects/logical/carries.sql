-- Every relation that somebody might expect to be carried, and what decides whether it is. Those of schemas that a run made
-- are left out.
select n.nspname::text,
       c.relname::text,
       c.relkind::text,
       c.relpersistence::text,
       c.relispartition,
       c.relreplident::text,
       case c.relreplident
         when 'd' then exists (select from pg_catalog.pg_index i
                                where i.indrelid = c.oid and i.indisprimary and i.indimmediate and i.indisvalid)
         when 'i' then exists (select from pg_catalog.pg_index i
                                where i.indrelid = c.oid and i.indisreplident and i.indimmediate and i.indisvalid)
         else c.relreplident = 'f'
       end,
       exists (select from pg_catalog.pg_depend d
                where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'),
       array(select a.attname::text from pg_catalog.pg_attribute a
              where a.attrelid = c.oid and a.attgenerated <> '' and not a.attisdropped order by 1),
       case when c.relispartition then (select format('%s.%s', rn.nspname, r.relname)
                                          from pg_catalog.pg_class r
                                          join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
                                         where r.oid = pg_catalog.pg_partition_root(c.oid)) end
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p', 'm', 'f')
   and c.relpersistence <> 't'
   and n.nspname not in ('pg_catalog', 'information_schema')
   and n.nspname !~ '^pg_(toast|temp)'
   and not (n.nspname ~ '^runsheet_' and coalesce(pg_catalog.obj_description(n.oid, 'pg_namespace'), '') like '{"runsheet"%')
 order by 1, 2
