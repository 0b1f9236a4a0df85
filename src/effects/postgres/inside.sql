-- Everything in a database but its settings and what $1 names: schemas, extensions and event triggers. What belongs to
-- something else (indexes, partitions, sequences of columns, types of tables, members of extensions) goes with that. In the order in which it
-- is dropped; event triggers first, since they may forbid the rest.
with mine as (
    select n.oid, n.nspname from pg_catalog.pg_namespace n
     where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp_)' and n.nspname <> all ($1)
), found(rank, class, oid) as (
    select 1, 'pg_catalog.pg_event_trigger'::regclass, oid from pg_catalog.pg_event_trigger where evtname <> all ($1)
    union all
    select 2, 'pg_catalog.pg_subscription'::regclass, s.oid
      from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid and d.datname = current_database()
    union all
    select 2, 'pg_catalog.pg_publication'::regclass, oid from pg_catalog.pg_publication
    union all
    select 3, 'pg_catalog.pg_extension'::regclass, oid from pg_catalog.pg_extension
     where extname <> 'plpgsql' and extname <> all ($1)
    union all
    select 4, 'pg_catalog.pg_class'::regclass, c.oid from pg_catalog.pg_class c join mine on mine.oid = c.relnamespace
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.relpersistence <> 't' and not c.relispartition
       and not (c.relkind = 'S' and exists (select from pg_catalog.pg_depend d
                                             where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid
                                               and d.deptype = 'a' and d.refobjsubid > 0))
    union all
    select 5, 'pg_catalog.pg_proc'::regclass, p.oid from pg_catalog.pg_proc p join mine on mine.oid = p.pronamespace
    union all
    select 6, 'pg_catalog.pg_type'::regclass, t.oid from pg_catalog.pg_type t join mine on mine.oid = t.typnamespace
    union all
    select 7, 'pg_catalog.pg_operator'::regclass, o.oid from pg_catalog.pg_operator o join mine on mine.oid = o.oprnamespace
    union all
    select 7, 'pg_catalog.pg_opclass'::regclass, o.oid from pg_catalog.pg_opclass o join mine on mine.oid = o.opcnamespace
    union all
    select 8, 'pg_catalog.pg_opfamily'::regclass, o.oid from pg_catalog.pg_opfamily o join mine on mine.oid = o.opfnamespace
    union all
    select 8, 'pg_catalog.pg_collation'::regclass, c.oid from pg_catalog.pg_collation c join mine on mine.oid = c.collnamespace
    union all
    select 8, 'pg_catalog.pg_conversion'::regclass, c.oid from pg_catalog.pg_conversion c join mine on mine.oid = c.connamespace
    union all
    select 7, 'pg_catalog.pg_ts_config'::regclass, c.oid from pg_catalog.pg_ts_config c join mine on mine.oid = c.cfgnamespace
    union all
    select 8, 'pg_catalog.pg_ts_dict'::regclass, d.oid from pg_catalog.pg_ts_dict d join mine on mine.oid = d.dictnamespace
    union all
    select 9, 'pg_catalog.pg_ts_parser'::regclass, p.oid from pg_catalog.pg_ts_parser p join mine on mine.oid = p.prsnamespace
    union all
    select 9, 'pg_catalog.pg_ts_template'::regclass, t.oid from pg_catalog.pg_ts_template t join mine on mine.oid = t.tmplnamespace
    union all
    select 9, 'pg_catalog.pg_cast'::regclass, oid from pg_catalog.pg_cast where oid >= 16384
    union all
    select 9, 'pg_catalog.pg_transform'::regclass, oid from pg_catalog.pg_transform where oid >= 16384
    union all
    select 10, 'pg_catalog.pg_language'::regclass, oid from pg_catalog.pg_language where oid >= 16384
    union all
    select 10, 'pg_catalog.pg_am'::regclass, oid from pg_catalog.pg_am where oid >= 16384
    union all
    select 11, 'pg_catalog.pg_foreign_server'::regclass, oid from pg_catalog.pg_foreign_server
    union all
    select 12, 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid from pg_catalog.pg_foreign_data_wrapper
    union all
    select 13, 'pg_catalog.pg_namespace'::regclass, oid from mine where nspname <> 'public'
), told as (
    select f.rank, i.type, i.identity
      from found f cross join lateral pg_catalog.pg_identify_object(f.class, f.oid, 0) i
     where not exists (select from pg_catalog.pg_depend d
                        where d.classid = f.class and d.objid = f.oid and d.objsubid = 0 and d.deptype in ('e', 'i'))
    union all
    select 14, 'large objects', count(*)::text from pg_catalog.pg_largeobject_metadata having count(*) > 0
)
select type, identity from told where identity is not null order by rank, identity collate "C"
