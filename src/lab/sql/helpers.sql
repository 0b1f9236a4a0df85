-- What every script that makes rows begins with. Gone with the session, so that the application's database has none of it.
--
-- Nothing here or anywhere below asks the clock or a random source: the same `lab.rows` gives the same rows, and the one
-- time that rows depend on, `lab.at`, is given.

set client_min_messages = warning;
set timezone = 'UTC';
set synchronous_commit = off;

-- A number from 0 to k - 1, always the same one for the same n and seed.
create function pg_temp.pick(n bigint, seed integer, k bigint) returns bigint language sql immutable as
$$ select (hashint8extended(n, seed) & 9223372036854775807) % k $$;

-- How many rows of a kind: so many thousandths of all rows, one at least.
create function pg_temp.share(thousandths integer) returns bigint language sql stable as
$$ select greatest(1, current_setting('lab.rows')::bigint * thousandths / 1000) $$;
