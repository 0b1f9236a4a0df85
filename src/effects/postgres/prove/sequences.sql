-- Every sequence with each column that it fills: the one that owns it, and those whose default draws from it. A sequence that
-- fills none comes with nulls. Partitions share what their partitioned table says.
with fills as (
    select d.objid as sequence, d.refobjid as relation, d.refobjsubid as attnum
      from pg_catalog.pg_depend d
     where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
       and d.deptype in ('a', 'i') and d.refobjsubid > 0
    union
    select d.refobjid, f.adrelid, f.adnum
      from pg_catalog.pg_depend d join pg_catalog.pg_attrdef f on f.oid = d.objid
     where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
)
select n.nspname::text, c.relname::text, s.seqincrement, s.seqcycle,
       tn.nspname::text, t.relname::text, a.attname::text,
       pg_catalog.format_type(b.oid, null),
       has_table_privilege(c.oid, 'select') and has_schema_privilege(n.oid, 'usage')
         and coalesce(has_column_privilege(t.oid, a.attnum, 'select') and has_schema_privilege(tn.oid, 'usage'), true),
       coalesce(row_security_active(t.oid), false)
  from pg_catalog.pg_sequence s
  join pg_catalog.pg_class c on c.oid = s.seqrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join (fills f
             join pg_catalog.pg_class t on t.oid = f.relation and t.relkind in ('r', 'p')
             join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
             join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = f.attnum
             join pg_catalog.pg_type ty on ty.oid = a.atttypid
             join pg_catalog.pg_type b on b.oid = case when ty.typtype = 'd' then ty.typbasetype else ty.oid end)
         on f.sequence = s.seqrelid
        and not (t.relispartition and exists (select from fills o join pg_catalog.pg_class p on p.oid = o.relation
                                               where o.sequence = f.sequence and p.relkind = 'p' and not p.relispartition))
 where c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
   and not (c.relpersistence = 'u' and pg_is_in_recovery())
   and not (starts_with(n.nspname, 'runsheet_') and coalesce(starts_with(obj_description(n.oid, 'pg_namespace'), '{"runsheet":'), false))
 order by 1, 2, 5, 6, 7
