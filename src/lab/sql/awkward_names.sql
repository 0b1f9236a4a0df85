-- Names that must be quoted, and quoted right.

create schema "Mixed Case";
create schema "select";
create table "Mixed Case"."Order Items" ("Id" integer primary key, "User" text, "a""b" text, "it's" text, "naïve 雅" text, "from" text, " " text);
insert into "Mixed Case"."Order Items" select n, 'u' || n, '"', '''', 'ï', 'x', ' ' from generate_series(1, 12) n;
create table "Mixed Case"."order items" ("Id" integer);
insert into "Mixed Case"."order items" values (1), (2);
create table "Mixed Case"."percent % and {{ braces }} and $1 \ and ; -- 👍" (x integer);
insert into "Mixed Case"."percent % and {{ braces }} and $1 \ and ; -- 👍" values (1);
create table "select"."table" ("column" integer primary key, "Group" text unique, "order" integer generated always as ("column" * 2) stored);
insert into "select"."table" values (1, 'a'), (2, null), (3, null);
create table "select"."users" (id integer);
insert into "select"."users" values (7);
create table odd."a.b" ("c.d" integer);
insert into odd."a.b" values (1), (1);
create table odd.a_name_just_as_long_as_a_name_may_be_before_servers_cut_it_off_ (x integer);
create table odd."new
line" (x integer);
insert into odd."new
line" values (3);
create sequence "Mixed Case"."Sequence ""of"" 'its' own" start 10;
select nextval('"Mixed Case"."Sequence ""of"" ''its'' own"');
create view "Mixed Case"."A View" as select "Id", "it's" from "Mixed Case"."Order Items" where "Id" > 6;
create function "Mixed Case"."Fn"("An Arg" integer default 1, variadic "more" text[] default '{}') returns integer language sql immutable as $$ select "An Arg" $$;
create index "Index ""of"" it" on "Mixed Case"."Order Items" (("it's" || "User"), "a""b" desc nulls last);
comment on table "Mixed Case"."Order Items" is 'It''s a "comment"; -- not SQL';
