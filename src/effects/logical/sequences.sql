-- Every sequence, and the columns that it fills. Those in schemas that a run made are left out.
with fills as (
    select d.objid as sequence, d.refobjid as relation, d.refobjsubid as attnum
      from pg_catalog.pg_depend d
     where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
       and d.deptype in ('a', 'i') and d.refobjsubid > 0)
select n.nspname::text, c.relname::text, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
       tn.nspname::text, t.relname::text, a.attname::text
  from pg_catalog.pg_sequence s
  join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join (fills f
             join pg_catalog.pg_class t on t.oid = f.relation and t.relkind in ('r', 'p')
             join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
             join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = f.attnum
                  and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype))
         on f.sequence = s.seqrelid
 where c.relpersistence = 'p' and n.nspname not in ('pg_catalog', 'information_schema')
   and not (n.nspname ~ '^runsheet_' and coalesce(pg_catalog.obj_description(n.oid, 'pg_namespace'), '') like '{"runsheet"%')
 order by 1, 2
