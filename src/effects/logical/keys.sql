-- The columns by which a row of each published table is told from others: those of its replica identity, or where that is
-- the whole row, those of its primary key or of another unique index; with the operators that make them equal.
select p.schemaname::text, p.tablename::text,
       array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(attnum, nth)
               join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
              where k.nth <= i.indnkeyatts order by k.nth),
       array(select format('%I.%I', tn.nspname, ty.typname) from unnest(i.indkey::int2[]) with ordinality k(attnum, nth)
               join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
               join pg_catalog.pg_type ty on ty.oid = a.atttypid
               join pg_catalog.pg_namespace tn on tn.oid = ty.typnamespace
              where k.nth <= i.indnkeyatts order by k.nth),
       array(select format('operator(%I.%s)', n.nspname, o.oprname) from unnest(i.indclass::oid[]) with ordinality k(opclass, nth)
               join pg_catalog.pg_opclass oc on oc.oid = k.opclass
               join pg_catalog.pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amopstrategy = 3
                    and ao.amoplefttype = oc.opcintype and ao.amoprighttype = oc.opcintype
               join pg_catalog.pg_operator o on o.oid = ao.amopopr
               join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
              where k.nth <= i.indnkeyatts order by k.nth)
  from pg_catalog.pg_publication_tables p
  join pg_catalog.pg_namespace cn on cn.nspname = p.schemaname
  join pg_catalog.pg_class c on c.relname = p.tablename and c.relnamespace = cn.oid
  left join lateral (
       select * from pg_catalog.pg_index i
        where i.indrelid = c.oid and i.indisvalid and i.indimmediate and i.indisunique
          and i.indpred is null and i.indexprs is null
          and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else true end
          and not exists (select from unnest(i.indkey::int2[]) with ordinality k(attnum, nth)
                            join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
                           where k.nth <= i.indnkeyatts and not a.attnotnull)
        order by i.indisprimary desc, i.indexrelid limit 1) i on true
 where p.pubname = $1
