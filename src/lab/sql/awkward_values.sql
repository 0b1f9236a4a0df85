-- Values that print alike and are not, that are equal and print otherwise, or that a careless copy changes.

create domain odd.code as text check (value ~ '^[A-Z]{3}-[0-9]+$') default 'AAA-0';
create domain odd.codes as odd.code[] check (cardinality(value) < 5);
create type odd.mood as enum ('sad', 'ok', 'happy', 'it''s "complicated"');
create type odd.address as (street text, number integer, "zip Code" char(6));
create type odd.float_range as range (subtype = float8, subtype_diff = float8mi);

create table odd.numbers (id integer primary key, n numeric, scaled numeric(10, 3), f4 real, f8 double precision, price money);
insert into odd.numbers values
    (1, 1.0, 1, 1, 1, '1.00'), (2, 1.00, 1.0, 1.0000001, 1.0000000000000002, '-1234567.89'),
    (3, 'NaN', 'NaN', 'NaN', 'NaN', null), (4, 'Infinity', 0, 'infinity', '-infinity', '0'),
    (5, '-Infinity', -0.001, '-0', '-0', '0.01'), (6, 0, 0.000, 0, 0, null),
    (7, 1e-30, 9999999.999, 1e-45, 5e-324, '92233720368547758.07'), (8, 1e100, null, 3.4028235e38, 1.7976931348623157e308, null),
    (9, 0.1, 0.1, 0.1, 0.1, null), (10, 0.10, 0.3, 0.3, 0.30000000000000004, null), (11, -0.0, null, null, null, null);

create table odd.times (id integer primary key, at timestamptz, local timestamp(3), day date, clock time, zoned timetz, length interval);
insert into odd.times values
    (1, '2025-03-30 01:30:00.000001+00', '2025-03-30 02:30:00.1239', '2025-02-28', '23:59:59.999999', '10:00:00+05:30', '1 month -3 days 04:05:06.7'),
    (2, 'infinity', '-infinity', 'infinity', '24:00:00', '24:00:00-15:59', '30 days'), (3, '4714-11-24 00:00:00+00 BC', '0001-01-01 00:00:00 BC', '4714-11-24 BC', '00:00', '00:00+00', '1 month'),
    (4, '294276-12-31 23:59:59.999999+00', '294276-12-31 23:59:59', '5874897-12-31', null, null, '-178000000 years'),
    (5, '2025-10-26 01:30:00+02', '1582-10-10 00:00:00', '2000-02-29', '12:00:00.10', '12:00:00+01', '720 hours'),
    (6, '2025-10-26 01:30:00+01', null, null, '12:00:00.1', '11:00:00+00', '0'), (7, null, null, null, null, null, '-00:00:00.000001');

create table odd.texts (id integer primary key, t text, v varchar(20), c char(8), one "char", n name);
insert into odd.texts values
    (1, '', '', '', '', ''), (2, null, null, null, null, null), (3, ' ', '  ', 'a', 'a', 'a'), (4, E'\\N', E'\\.', E'\\n', E'\\', E'a\\b'),
    (5, E'tab\tnew\nline\r\nbell\x07', E'\b\f\v', E'\x7f', '"', 'with "quotes"'), (6, 'naïve', 'naïve', 'ñ', null, 'ñ'),
    (7, U&'nai\0308ve', U&'n\0303', U&'n\0303', null, null), (8, '👩‍👩‍👧 👍🏽', '𝒳', '雅', null, '雅'), (9, U&'\FEFFbom\200B\202E', E'trailing  ', 'x   ', null, null),
    (10, 'NULL', 'null', '{}', '{', '(,)'), (11, '''; drop table users; --', '$1', '{{ x }}', '$', '$tag$'), (12, 'ǅ ß ſ ı İ', 'STRASSE', 'straße', null, null);
create table odd.wide (id integer primary key, plain text, outside text, squeezed bytea);
alter table odd.wide alter outside set storage external;
insert into odd.wide
select n, repeat(md5(n::text), n * 40), (select string_agg(md5((n * 10000 + k)::text), '') from generate_series(1, n * 100) k), decode(repeat('00ff5c27', n * 5000), 'hex')
from generate_series(1, 20) n;

create table odd.documents (id integer primary key, loose json, strict jsonb, path jsonpath, found tsvector, sought tsquery);
insert into odd.documents values
    (1, '{"b": 1, "a": 1.0, "b": 2}', '{"b": 1, "a": 1.0, "b": 2}', '$.a[*] ? (@ > 1)', 'fat:1A cat:2', 'fat & !cat'),
    (2, '{"a":1.00}', '{"a": 1.00}', 'strict $', to_tsvector('simple', 'one two two'), 'one <-> two'), (3, 'null', 'null', null, '', ''), (4, null, null, null, null, null),
    (5, '[]', '[]', null, null, null), (6, '  {"u": "\u00e9", "e": "é"}', '{"u": "\u00e9", "deep": [[[{"x": [null, true, 1e2]}]]]}', null, null, null), (7, '""', '""', null, null, null);

create table odd.lists (id integer primary key, numbers integer[], texts text[], grid numeric[][], moods odd.mood[], homes odd.address[]);
insert into odd.lists values
    (1, '{1,2,3}', '{a,b}', '{{1.0,2},{3,4.00}}', '{happy,sad}', array[row('Main', 1, '12345')::odd.address]), (2, '{}', '{}', '{}', '{}', '{}'), (3, null, null, null, null, null),
    (4, '[0:2]={1,2,3}', '{"",NULL,"NULL"," ","a,b","\"","\\"}', null, '{"it''s \"complicated\""}', array[null, row(null, null, null)::odd.address]), (5, '{NULL}', '{NULL}', '{{NaN}}', '{NULL}', null);

create table odd.composed (
    id integer primary key, home odd.address, feeling odd.mood default 'ok', code odd.code, codes odd.codes,
    ints int4range, days daterange, moments tstzmultirange, floats odd.float_range, more odd.float_multirange
);
insert into odd.composed values
    (1, row('A "B" (C), D', 7, ''), 'happy', 'ABC-1', '{ABC-1,DEF-22}', '[1,5)', '[2025-01-01,2025-01-31]', '{[2025-01-01 00:00+00,2025-01-02 00:00+00),(2025-03-01 00:00+00,)}', '[-0,1.5)', '{[1,2),[3,4]}'),
    (2, row(null, null, null), 'it''s "complicated"', 'XYZ-0', '{}', 'empty', '(,)', '{}', '(,NaN)', null), (3, null, null, null, null, null, null, null, null, null), (4, row('', null, 'x'), 'sad', default, null, '(,5]', 'empty', null, 'empty', '{}');
create table odd.typed of odd.address (street primary key, number with options not null default 0);
insert into odd.typed values ('Side', 3, '1');

create table odd.machine (
    id uuid primary key, flags bit(8), more bit varying, bytes bytea, host inet, net cidr, card macaddr, card8 macaddr8,
    spot point, area polygon, ring circle, log pg_lsn, object oid, of_table regclass, of_type regtype
);
insert into odd.machine values
    ('00000000-0000-0000-0000-000000000001', B'10101010', B'1', '\x00', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:ff:fe:01:02:03', '(1,-0)', '((0,0),(1,1),(1,0))', '<(0,0),1e-300>', '0/0', 0, 'users', 'odd.mood'),
    ('ffffffff-ffff-ffff-ffff-ffffffffffff', B'00000000', B'', '', '::1', '2001:db8::/32', null, null, '(Infinity,NaN)', null, null, 'FFFFFFFF/FFFFFFFF', 4294967295, 'odd.empty', 'integer[]'),
    ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', null, null, '\xdeadbeef5c4e0a', '10.0.0.1', null, null, null, null, null, null, null, null, null, null);

-- A server may have been built without XML, or have no ICU to sort by.
do $$ begin
    create table odd.markup (id integer primary key, x xml);
    insert into odd.markup values (1, '<a b="1">x</a>'), (2, '<a b=''1''>x</a>'), (3, 'just <b>content</b>'), (4, null), (5, xmlparse(document '<?xml version="1.0"?><r><![CDATA[<&]]></r>'));
exception when feature_not_supported then null;
end $$;
do $$ begin
    create collation odd.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table odd.sorted (word text collate odd.blind primary key, plain text collate "de-x-icu");
    create index sorted_plain on odd.sorted (plain);
    insert into odd.sorted values ('Apfel', 'Äpfel'), ('birne', 'Birne'), ('CAFÉ', 'zebra');
exception when feature_not_supported or undefined_object then null;
end $$;
