//! What is equal is called equal: a database of awkward tables against what pg_dump and pg_restore make of it.

use runsheet::model::request::proving::{SameObjects, Side};

use super::harness::{ask, effects, passes, rows};
use crate::support::Cluster;

/// Tables of every type, some columns dropped, some added later; names that must be quoted; partitions, inheritance, and
/// what depends on them.
const AWKWARD: &str = r#"
create schema "Odd Schema"; create schema other;
create type "Odd Schema"."Mood" as enum ('sad', 'o''k', 'glad');
alter type "Odd Schema"."Mood" add value 'fine' before 'glad';
commit;
create type pair as (a int, "B b" text);
create domain positive as numeric(10, 3) default 1 check (value > 0);
create domain longer as positive check (value > 0.001);
create type span as range (subtype = float8);
create extension amcheck schema other;
create function increment(i int) returns int language sql immutable as 'select i + 1';
create function note() returns trigger language plpgsql as 'begin return new; end';
create aggregate other.product(float8) (sfunc = float8mul, stype = float8, initcond = '1');
create sequence "Odd Seq" increment -3;
select nextval('"Odd Seq"'); select nextval('"Odd Seq"');
create sequence unused;
do $$
declare
  kinds text[] := array['int', 'bigint', 'smallint', 'numeric', 'numeric(12,4)', 'float8', 'float4', 'boolean', 'date', 'timestamp',
    'timestamptz', 'time', 'timetz', 'interval', 'text', 'varchar(30)', 'char(5)', 'char', '"char"', 'name', 'bytea', 'json', 'jsonb',
    'uuid', '"Odd Schema"."Mood"', 'pair', 'positive', 'longer', 'span', 'int4range', 'tstzrange', 'int4multirange', 'int[]', 'text[]',
    'numeric[]', '"Odd Schema"."Mood"[]', 'pair[]', 'positive[]', 'inet', 'cidr', 'macaddr', 'macaddr8', 'money', 'bit(3)', 'bit varying',
    'xml', 'tsvector', 'tsquery', 'point', 'box', 'path', 'polygon', 'circle', 'line', 'lseg', 'oid', 'regclass', 'regtype', 'regproc',
    'pg_lsn', 'xid8', 'jsonpath', 'text collate "C"'];
  vals text[] := array['i', 'i * 4294967297', 'i', 'i / 7.0', 'i * 1.5', 'i / 7.0 - 1', 'i / 3.0', 'i % 2 = 0', 'date ''0044-03-15 BC'' + i',
    'timestamp ''1582-10-15'' + i * interval ''97.123456 days''', 'timestamptz ''2026-03-29 01:30+01'' + i * interval ''1.000001 s''',
    'time ''00:00'' + i * interval ''7.7 min''', '''04:05:06.789-08''', 'i * interval ''1 mon -3 days 04:05:06.7''',
    '''näme "'' || i', '''c,'' || i', '''ab''', '''x''', '''y''', '''n'' || i', 'decode(md5(i::text), ''hex'')', '''{"a" :  1.00}''',
    'jsonb_build_object(''k'', i / 8.0, ''n'', null)', 'md5(i::text)::uuid', '''o''''k''', 'row(i, null)::pair', 'i / 8.0', 'i + 0.5',
    'span(i / 3.0, null)', 'int4range(i, i + 3)', 'tstzrange(''2026-01-01'', ''infinity'')', 'int4multirange(int4range(1, 3), int4range(i + 5, i + 9))',
    'array[i, null, 3]', 'array[''a,b'', ''"'', null, '''']', 'array[1.0, 1.00]', 'array[''sad'', ''fine'']::"Odd Schema"."Mood"[]',
    'array[row(i, ''x'')::pair, null]', 'array[i]::positive[]', '''10.0.0.1/24''', '''10.1.0.0/16''', '''08:00:2b:01:02:03''',
    '''08:00:2b:01:02:03:04:05''', '(i / 3.0)::numeric::money', 'b''101''', 'i::bit(8)::text::bit varying', '''<a b="1">ü</a>''', '''a:1 fat:2,4''',
    '''fat & rat''', 'point(i / 3.0, 1e-300)', '''(0,0),(1.1,2.2)''', '''[(0,0),(1,1)]''', '''((0,0),(1,1),(1,0))''', '''<(1,2),0.3>''', '''{1,2,3}''',
    '''[(0,0),(1,1)]''', 'i', '''pg_class''', '''"Odd Schema"."Mood"''', '''public.increment''', '''16/B374D848''', '''99''', '''$.a[*] ? (@ > 2)''', '''z'''];
  columns text; chosen text;
begin
  for n in 1..185 loop
    select string_agg(format('%I %s', 'c ' || k, kinds[k]), ', '), string_agg(vals[k], ', ')
      into columns, chosen
      from generate_series(1, array_length(kinds, 1)) k where n <= array_length(kinds, 1) and k = n or n > array_length(kinds, 1) and (k * 7919 + n * n * 31) % 5 = 0;
    execute format('create table %I (gone text, %s)', 'table ' || n, columns);
    execute format('insert into %I select ''old'', %s from generate_series(1, %s) i', 'table ' || n, chosen, n % 7);
    execute format('insert into %I default values', 'table ' || n);
    if n % 2 = 0 then execute format('alter table %I drop gone, add "Late" int default 5', 'table ' || n); end if;
    if n % 10 = 0 then execute format('insert into %1$I table %1$I', 'table ' || n); end if;
  end loop;
end $$;
create table none ();
insert into none default values; insert into none default values;
create table empty (a int, b text);
create table long as select string_agg(md5(i::text), '') as text from generate_series(1, 40000) i;
create table floats (f float8, g float4); insert into floats values ('-0', '-0'), (0, 0), ('nan', 'nan'), ('-infinity', 'infinity'), (1e-323, 1e-45);
create table numbers (n numeric); insert into numbers values ('nan'), ('infinity'), ('-infinity'), (1.0), (1.00), (-1), (0), (0.000), (1e-100), (1e100), (null);
create table edges (t timestamp, z timestamptz, d date, i interval);
insert into edges values ('infinity', '-infinity', 'infinity', '0'), ('294276-12-31', '4713-01-01 BC', '5874897-12-31', '178000000 years'), (null, null, null, null);
create table identified (id int generated by default as identity (start 10 increment 5), g int generated always as (increment(3)) stored, v text);
insert into identified (v) values ('a'), ('b');
create table parted (id int not null, region text, primary key (id, region)) partition by list (region);
create table parted_eu partition of parted for values in ('eu') partition by range (id);
create table parted_eu_1 partition of parted_eu for values from (1) to (100);
create table "Odd Schema"."parted us" (region text not null, extra int, id int not null);
alter table "Odd Schema"."parted us" drop extra;
alter table parted attach partition "Odd Schema"."parted us" for values in ('us');
create table rest partition of parted default;
insert into parted select i, (array['eu', 'us', 'x'])[1 + i % 3] from generate_series(1, 90) i;
create table parent (a int, check (a > 0)); create table child (b text) inherits (parent);
insert into parent select generate_series(1, 5); insert into child values (7, 'x');
create unlogged table swift as select 1 as a;
create table guarded (owner name, v int); insert into guarded values ('somebody', 1);
alter table guarded enable row level security, force row level security;
create policy own on guarded for select to public using (owner = current_user);
create table keyed (id int primary key, parent int references keyed deferrable initially deferred, v text unique nulls not distinct);
insert into keyed values (1, 1, 'a'), (2, 1, null);
commit;
alter table keyed add constraint checked check (id > 0) not valid;
create index "Odd Index" on keyed (lower(v) desc nulls last) include (id) where id > 0;
create index on keyed using gin (to_tsvector('english'::regconfig, v));
alter table keyed cluster on keyed_pkey;
alter table keyed replica identity using index keyed_pkey;
create trigger watch after insert or update of v on keyed for each row when (new.v is not null) execute function note('x');
create constraint trigger later after update on keyed deferrable initially deferred for each row execute function note();
alter table keyed disable trigger watch;
create view plain as select p.*, k.v from parted p left join keyed k using (id);
create view "Odd View" with (security_barrier) as select * from plain where region = 'eu' with local check option;
create materialized view summed as select region, count(*) from parted group by region; create unique index on summed (region);
create materialized view unfilled as select 1 as a with no data;
create rule nothing as on delete to keyed do instead nothing;
create statistics pairs (ndistinct, mcv) on id, region from parted;
create procedure other.act(inout x int) language sql begin atomic select x; end;
create function same(pair, pair) returns boolean language sql immutable as 'select true';
create operator === (leftarg = pair, rightarg = pair, function = same);
create cast (pair as text) with inout as assignment;
create collation german (locale = 'C');
comment on column keyed.v is 'ein "Wört"'; comment on constraint checked on keyed is 'c'; comment on function increment(int) is 'f';
comment on index "Odd Index" is 'i'; comment on trigger watch on keyed is 't'; comment on type pair is 'p';
select lo_from_bytea(1000 + i, convert_to(repeat('x', i * 3000), 'UTF8')) from generate_series(1, 5) i; select lo_create(0);
create publication news for table keyed (id, v), rest where (id > 1);
"#;

#[tokio::test]
async fn two_hundred_awkward_tables_are_equal_after_a_dump_and_restore() {
    let left = Cluster::shared().database("awkward");
    let right = Cluster::shared().database("restored");
    // So that OIDs differ on both sides.
    right.sql("create table x (a int); drop table x; create type y as enum ('a', 'b'); drop type y");
    left.sql(AWKWARD);
    left.restored_into(&right);
    let compared = rows(&left, &right).await;
    passes(&compared);
    assert!(compared.compared >= 200, "{}", compared.detail);
    let request = SameObjects {
        left: Side::Target("left".into()),
        right: Side::Target("right".into()),
        grants: true,
        older: false,
        accept: Vec::new(),
    };
    passes(&ask(&effects(&left, &right), &request).await.unwrap());
}
