-- Everything in a database that is no row: kind, name, definition. Names of other objects in definitions are qualified, since
-- the search path is empty; nothing depends on OIDs, on the order of columns, or on columns that were dropped.
-- The schemas of runs and what is in them are no part of it.
with stamped as (
    select n.oid, n.nspname from pg_catalog.pg_namespace n
     where starts_with(n.nspname, 'runsheet_') and starts_with(obj_description(n.oid, 'pg_namespace'), '{"runsheet":')
), mine as (
    select n.oid, n.nspname from pg_catalog.pg_namespace n
     where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp_)'
       and n.oid not in (select oid from stamped)
), extended as (
    select classid, objid from pg_catalog.pg_depend
     where refclassid = 'pg_catalog.pg_extension'::regclass and deptype = 'e'
), relations as (
    select c.*, m.nspname, format('%I.%I', m.nspname, c.relname) as name
      from pg_catalog.pg_class c join mine m on m.oid = c.relnamespace
     where c.relpersistence <> 't'
       and (c.oid) not in (select objid from extended where classid = 'pg_catalog.pg_class'::regclass)
), types as (
    select t.*, format('%I.%I', m.nspname, t.typname) as name
      from pg_catalog.pg_type t join mine m on m.oid = t.typnamespace
     where t.oid not in (select objid from extended where classid = 'pg_catalog.pg_type'::regclass)
), functions as (
    select p.*, format('%I.%I(%s)', m.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) as name
      from pg_catalog.pg_proc p join mine m on m.oid = p.pronamespace
     where p.oid not in (select objid from extended where classid = 'pg_catalog.pg_proc'::regclass)
), found(kind, name, definition) as (
    select 'schema', format('%I', nspname), '' from mine
     where oid not in (select objid from extended where classid = 'pg_catalog.pg_namespace'::regclass)
    union all
    select 'extension', format('%I', extname), 'version ' || extversion from pg_catalog.pg_extension
    union all
    select 'table', name,
           case relkind when 'p' then 'partitioned by ' || pg_catalog.pg_get_partkeydef(oid)
                        when 'f' then (select format('foreign on %I %s', s.srvname, array_to_string(f.ftoptions, ', '))
                                         from pg_catalog.pg_foreign_table f join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
                                        where f.ftrelid = relations.oid)
                        else 'ordinary' end
           || case relpersistence when 'u' then ', unlogged' else '' end
           || case when relrowsecurity then ', row security' else '' end
           || case when relforcerowsecurity then ', row security forced' else '' end
           || case relreplident when 'd' then '' else ', replica identity ' || relreplident::text end
           || coalesce(' partition ' || pg_catalog.pg_get_expr(relpartbound, oid), '')
           || coalesce((select ', inherits ' || string_agg(i.inhparent::regclass::text, ', ' order by i.inhseqno)
                          from pg_catalog.pg_inherits i where i.inhrelid = relations.oid), '')
           || coalesce(', with ' || array_to_string(reloptions, ', '), '')
           || coalesce((select ', of ' || reloftype::regtype where reloftype <> 0), '')
      from relations where relkind in ('r', 'p', 'f')
    union all
    select 'column', r.name || '.' || format('%I', a.attname),
           pg_catalog.format_type(a.atttypid, a.atttypmod)
           || case when a.attnotnull then ' not null' else '' end
           || case a.attidentity when 'a' then ' identity always' when 'd' then ' identity by default' else '' end
           || case when a.attgenerated <> '' then ' generated' when d.oid is not null then ' default' else '' end
           || coalesce(' ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
           || case when a.attstorage <> t.typstorage then ' storage ' || a.attstorage::text else '' end
           || case when a.attcollation <> t.typcollation then ' collate ' || (select format('%I', k.collname) from pg_catalog.pg_collation k where k.oid = a.attcollation) else '' end
           || case when a.attstattarget >= 0 then ' statistics ' || a.attstattarget else '' end
           || coalesce(' compression ' || nullif(to_jsonb(a) ->> 'attcompression', ''), '')
           || coalesce(' with ' || array_to_string(a.attoptions, ', '), '')
           || coalesce(' options ' || array_to_string(a.attfdwoptions, ', '), '')
      from relations r
      join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
      join pg_catalog.pg_type t on t.oid = a.atttypid
      left join pg_catalog.pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
     where r.relkind in ('r', 'p', 'f', 'c') or r.relkind = 'v' and d.oid is not null
    union all
    select case relkind when 'v' then 'view' else 'materialised view' end, name,
           case when relkind = 'm' and not relispopulated then 'not populated: ' else '' end
           || coalesce('with ' || array_to_string(reloptions, ', ') || ': ', '')
           || pg_catalog.pg_get_viewdef(oid)
      from relations where relkind in ('v', 'm')
    union all
    select 'index', format('%I.%I', r.nspname, x.relname),
           case when i.indisvalid then '' else 'invalid: ' end
           || case when i.indisclustered then 'clustered: ' else '' end
           || case when i.indisreplident then 'replica identity: ' else '' end
           || pg_catalog.pg_get_indexdef(i.indexrelid)
           || coalesce((select string_agg(format(' statistics %s of column %s', a.attstattarget, a.attnum), '' order by a.attnum)
                          from pg_catalog.pg_attribute a where a.attrelid = i.indexrelid and a.attstattarget >= 0), '')
      from relations r
      join pg_catalog.pg_index i on i.indrelid = r.oid
      join pg_catalog.pg_class x on x.oid = i.indexrelid
    union all
    select 'sequence', r.name,
           format('%s from %s to %s by %s, starts at %s, cache %s%s', s.seqtypid::regtype, s.seqmin, s.seqmax, s.seqincrement,
                  s.seqstart, s.seqcache, case when s.seqcycle then ', cycles' else '' end)
           || coalesce((select format(', owned by %s.%I', d.refobjid::regclass, a.attname)
                          from pg_catalog.pg_depend d
                          join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                         where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = r.oid and d.deptype in ('a', 'i')
                           and d.refclassid = 'pg_catalog.pg_class'::regclass limit 1), '')
      from relations r join pg_catalog.pg_sequence s on s.seqrelid = r.oid
    union all
    select 'constraint', format('%I on %s', c.conname, coalesce(r.name, t.name)),
           pg_catalog.pg_get_constraintdef(c.oid)
           || case when c.convalidated then '' else ' (not validated)' end
      from pg_catalog.pg_constraint c
      left join relations r on r.oid = c.conrelid
      left join types t on t.oid = c.contypid
     where coalesce(r.name, t.name) is not null and c.contype <> 't' and c.contype <> 'n'
    union all
    select 'trigger', format('%I on %s', t.tgname, r.name),
           case t.tgenabled when 'O' then 'enabled' when 'D' then 'disabled' when 'A' then 'always' else 'replica' end
           || ': ' || pg_catalog.pg_get_triggerdef(t.oid)
      from pg_catalog.pg_trigger t join relations r on r.oid = t.tgrelid
     where not t.tgisinternal
    union all
    select 'foreign key trigger', format('%I on %s', c.conname, r.name),
           string_agg(distinct t.tgenabled::text, ', ')
      from pg_catalog.pg_trigger t
      join relations r on r.oid = t.tgrelid
      join pg_catalog.pg_constraint c on c.oid = t.tgconstraint
     where t.tgisinternal and c.contype = 'f'
     group by c.conname, r.name
    having bool_or(t.tgenabled <> 'O')
    union all
    select 'event trigger', format('%I', e.evtname),
           format('%s on %s %s calls %s', e.evtenabled, e.evtevent, coalesce(array_to_string(e.evttags, ', '), ''), e.evtfoid::regproc)
      from pg_catalog.pg_event_trigger e
     where e.oid not in (select objid from extended where classid = 'pg_catalog.pg_event_trigger'::regclass)
    union all
    select 'rule', format('%I on %s', w.rulename, r.name), w.ev_enabled::text || ': ' || pg_catalog.pg_get_ruledef(w.oid)
      from pg_catalog.pg_rewrite w join relations r on r.oid = w.ev_class
     where w.rulename <> '_RETURN'
    union all
    select 'policy', format('%I on %s', p.polname, r.name),
           format('%s %s to %s using %s check %s', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd,
                  (select string_agg(coalesce(a.rolname::text, 'public'), ', ' order by a.rolname)
                     from unnest(p.polroles) as o(oid) left join pg_catalog.pg_roles a on a.oid = o.oid),
                  pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
      from pg_catalog.pg_policy p join relations r on r.oid = p.polrelid
    union all
    select case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, name,
           case when prokind = 'a'
                then format('%s %s %s', pg_catalog.pg_get_function_result(oid), proparallel,
                            (select concat_ws(' ', a.aggkind, a.aggtransfn::regproc, a.aggfinalfn::regproc, a.aggcombinefn::regproc,
                                              a.aggserialfn::regproc, a.aggdeserialfn::regproc, a.aggmtransfn::regproc,
                                              a.aggminvtransfn::regproc, a.aggmfinalfn::regproc, a.aggfinalextra, a.aggmfinalextra,
                                              a.aggfinalmodify, a.aggmfinalmodify, a.aggsortop::regoperator, a.aggtranstype::regtype,
                                              a.aggtransspace, a.aggmtranstype::regtype, a.aggmtransspace,
                                              quote_nullable(a.agginitval), quote_nullable(a.aggminitval))
                               from pg_catalog.pg_aggregate a where a.aggfnoid = functions.oid))
                else pg_catalog.pg_get_functiondef(oid) end
      from functions
    union all
    select 'type', t.name,
           case t.typtype
               when 'e' then 'enum ' || coalesce((select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
                                                    from pg_catalog.pg_enum e where e.enumtypid = t.oid), '')
               when 'd' then 'domain over ' || pg_catalog.format_type(t.typbasetype, t.typtypmod)
                             || case when t.typnotnull then ' not null' else '' end
                             || coalesce(' default ' || t.typdefault, '')
                             || case when t.typcollation <> b.typcollation then ' collate ' || (select format('%I', k.collname) from pg_catalog.pg_collation k where k.oid = t.typcollation) else '' end
               when 'r' then 'range of ' || (select g.rngsubtype::regtype::text from pg_catalog.pg_range g where g.rngtypid = t.oid)
               when 'c' then 'composite'
               else 'base' end
      from types t
      left join pg_catalog.pg_type b on b.oid = t.typbasetype
      left join pg_catalog.pg_class c on c.oid = t.typrelid
     where (t.typtype in ('e', 'd', 'r', 'b') or t.typtype = 'c' and c.relkind = 'c')
       and not exists (select from pg_catalog.pg_type e where e.typarray = t.oid)
    union all
    select 'statistics', format('%I.%I', m.nspname, s.stxname), pg_catalog.pg_get_statisticsobjdef(s.oid)
      from pg_catalog.pg_statistic_ext s join mine m on m.oid = s.stxnamespace
    union all
    select 'collation', format('%I.%I', m.nspname, c.collname),
           format('%s %s %s', c.collprovider, c.collcollate, c.collctype)
      from pg_catalog.pg_collation c join mine m on m.oid = c.collnamespace
     where c.oid not in (select objid from extended where classid = 'pg_catalog.pg_collation'::regclass)
    union all
    select 'operator', format('%I.%s (%s, %s)', m.nspname, o.oprname, o.oprleft::regtype, o.oprright::regtype), o.oprcode::regproc::text
      from pg_catalog.pg_operator o join mine m on m.oid = o.oprnamespace
     where o.oid not in (select objid from extended where classid = 'pg_catalog.pg_operator'::regclass)
    union all
    select 'operator class', format('%I.%I using %s', m.nspname, o.opcname, a.amname),
           format('%s%s of family %s%s', o.opcintype::regtype, case when o.opcdefault then ' default' else '' end, f.opfname,
                  coalesce(', stored as ' || nullif(o.opckeytype, 0)::regtype, ''))
      from pg_catalog.pg_opclass o join mine m on m.oid = o.opcnamespace join pg_catalog.pg_am a on a.oid = o.opcmethod
      join pg_catalog.pg_opfamily f on f.oid = o.opcfamily
     where o.oid not in (select objid from extended where classid = 'pg_catalog.pg_opclass'::regclass)
    union all
    select 'operator family', format('%I.%I using %s', m.nspname, f.opfname, a.amname),
           concat_ws('; ',
                     (select string_agg(o.amopstrategy || ' ' || o.amopopr::regoperator, ', ' order by o.amopstrategy, o.amopopr::regoperator::text collate "C")
                        from pg_catalog.pg_amop o where o.amopfamily = f.oid),
                     (select string_agg(p.amprocnum || ' ' || p.amproc::regprocedure, ', ' order by p.amprocnum, p.amproc::regprocedure::text collate "C")
                        from pg_catalog.pg_amproc p where p.amprocfamily = f.oid))
      from pg_catalog.pg_opfamily f join mine m on m.oid = f.opfnamespace join pg_catalog.pg_am a on a.oid = f.opfmethod
     where f.oid not in (select objid from extended where classid = 'pg_catalog.pg_opfamily'::regclass)
    union all
    select 'cast', format('%s as %s', c.castsource::regtype, c.casttarget::regtype),
           format('%s %s %s', c.castfunc::regproc, c.castcontext, c.castmethod)
      from pg_catalog.pg_cast c
     where c.oid >= 16384 and c.oid not in (select objid from extended where classid = 'pg_catalog.pg_cast'::regclass)
    union all
    select 'text search configuration', format('%I.%I', m.nspname, c.cfgname),
           (select p.prsname from pg_catalog.pg_ts_parser p where p.oid = c.cfgparser)
           || coalesce((select string_agg(format(', %s %s', t.maptokentype, t.mapdict::regdictionary), '' order by t.maptokentype, t.mapseqno)
                          from pg_catalog.pg_ts_config_map t where t.mapcfg = c.oid), '')
      from pg_catalog.pg_ts_config c join mine m on m.oid = c.cfgnamespace
     where c.oid not in (select objid from extended where classid = 'pg_catalog.pg_ts_config'::regclass)
    union all
    select 'text search dictionary', format('%I.%I', m.nspname, c.dictname),
           concat_ws(' ', (select t.tmplname from pg_catalog.pg_ts_template t where t.oid = c.dicttemplate), c.dictinitoption)
      from pg_catalog.pg_ts_dict c join mine m on m.oid = c.dictnamespace
     where c.oid not in (select objid from extended where classid = 'pg_catalog.pg_ts_dict'::regclass)
    union all
    select 'foreign data wrapper', format('%I', w.fdwname),
           format('%s %s %s', w.fdwhandler::regproc, w.fdwvalidator::regproc, array_to_string(w.fdwoptions, ', '))
      from pg_catalog.pg_foreign_data_wrapper w
     where w.oid not in (select objid from extended where classid = 'pg_catalog.pg_foreign_data_wrapper'::regclass)
    union all
    select 'foreign server', format('%I', s.srvname),
           concat_ws(' ', w.fdwname, s.srvtype, s.srvversion, array_to_string(s.srvoptions, ', '))
      from pg_catalog.pg_foreign_server s join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
    union all
    select 'publication', format('%I', p.pubname),
           format('%s %s %s %s %s %s %s', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
                  (select string_agg(format('%I.%I', t.schemaname, t.tablename)
                                     || coalesce((select format(' (%s)', string_agg(n, ', ' order by n collate "C"))
                                                    from jsonb_array_elements_text(nullif(to_jsonb(t) -> 'attnames', 'null')) n), '')
                                     || coalesce(' where ' || (to_jsonb(t) ->> 'rowfilter'), ''),
                                     ', ' order by t.schemaname, t.tablename)
                     from pg_catalog.pg_publication_tables t
                    where t.pubname = p.pubname and t.schemaname not in (select nspname from stamped)))
      from pg_catalog.pg_publication p where not starts_with(p.pubname, 'runsheet_')
    union all
    select 'subscription', format('%I', s.subname), ''
      from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid and d.datname = current_database()
     where not starts_with(s.subname, 'runsheet_')
    union all
    select 'large objects', 'count', count(*)::text from pg_catalog.pg_largeobject_metadata
    union all
    select 'database setting', coalesce('role ' || pg_catalog.pg_get_userbyid(nullif(s.setrole, 0)) || ': ', '')
                               || split_part(v, '=', 1), substr(v, strpos(v, '=') + 1)
      from pg_catalog.pg_db_role_setting s
      join pg_catalog.pg_database d on d.oid = s.setdatabase and d.datname = current_database()
     cross join unnest(s.setconfig) v
    union all
    select 'comment', format('%s %s', i.type, i.identity), d.description
      from pg_catalog.pg_description d
     cross join lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) i
     where (d.objoid >= 16384 or i.type = 'schema' and i.identity = 'public') and i.identity is not null
       and d.classoid <> 'pg_catalog.pg_extension'::regclass
       and not exists (select from extended e where e.classid = d.classoid and e.objid = d.objoid)
       and not exists (select from stamped s where d.classoid = 'pg_catalog.pg_namespace'::regclass and d.objoid = s.oid
                                                or format('%I', s.nspname) = i.schema or s.nspname = i.schema)
    union all
    select 'grants', g.kind || ' ' || g.name,
           format('owner %s', pg_catalog.pg_get_userbyid(g.owner))
           || coalesce((select ', ' || string_agg(a::text, ', ' order by a::text) from unnest(g.acl) a), '')
      from (select 'schema' as kind, format('%I', n.nspname) as name, n.nspowner as owner,
                   coalesce(n.nspacl, acldefault('n', n.nspowner)) as acl
              from pg_catalog.pg_namespace n join mine m on m.oid = n.oid
            union all
            select case relkind when 'S' then 'sequence' when 'v' then 'view' when 'm' then 'materialised view' else 'table' end,
                   name, relowner, coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
              from relations where relkind in ('r', 'p', 'f', 'v', 'm', 'S')
            union all
            select 'column', r.name || '.' || format('%I', a.attname), r.relowner, a.attacl
              from relations r join pg_catalog.pg_attribute a on a.attrelid = r.oid where a.attacl is not null and not a.attisdropped
            union all
            select 'function', name, proowner, coalesce(proacl, acldefault('f', proowner)) from functions
            union all
            select 'type', name, typowner, coalesce(typacl, acldefault('T', typowner)) from types
             where typtype in ('e', 'd', 'r')
            union all
            select 'default privileges', format('of %s on %s%s', pg_catalog.pg_get_userbyid(a.defaclrole), a.defaclobjtype,
                                                coalesce(' in ' || n.nspname, '')), a.defaclrole, a.defaclacl
              from pg_catalog.pg_default_acl a left join pg_catalog.pg_namespace n on n.oid = a.defaclnamespace
            union all
            select 'large object', oid::text, lomowner, coalesce(lomacl, acldefault('L', lomowner))
              from pg_catalog.pg_largeobject_metadata
           ) g
)
select kind, name, case when length(definition) <= 200 then definition
                        else 'digest ' || encode(sha256(convert_to(definition, 'UTF8')), 'hex') end
  from found
 order by kind collate "C", name collate "C"
