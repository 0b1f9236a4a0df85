-- The largest tables of a schema.
select c.relname, pg_total_relation_size(c.oid) as bytes
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = {{ schema }} and c.relkind = 'r'
order by bytes desc
limit {{ most }};
