-- PostgreSQL. The same tables as SQLite's, in the schema the connection finds first on its search path.
-- Arrays are sent in binary (%b): as text, each byte of a leaf would be escaped.
-- Text that is compared or ordered has the collation "C": the order of its UTF-8 bytes, as everywhere in Keyturn.

-- name: schema
create table schema_version (version integer not null);
create table entry (
  idx bigint primary key,
  time bigint not null,
  type text not null,
  session text collate "C",
  n bigint,
  once text collate "C",
  leaf bytea not null,
  disclosures bytea not null
);
create unique index entry_once on entry (once) where once is not null;
create unique index entry_session on entry (session, n) where session is not null;
create index entry_closed on entry (session) where type = 'session.closed';
create table tile (
  level integer not null,
  idx bigint not null,
  hashes bytea not null,
  primary key (level, idx)
);
alter table tile alter column hashes set storage external;
create table checkpoint (
  one integer primary key check (one = 1),
  note text not null
);
create table blob (
  digest text collate "C" primary key,
  data bytea not null
);
create table "row" (
  kind text collate "C" not null,
  key text collate "C" not null,
  state text collate "C" not null,
  at bigint not null,
  body bytea not null,
  primary key (kind, key)
);
create index row_state on "row" (kind, state, at, key);
create index row_at on "row" (kind, at, key);

-- name: set_version
insert into schema_version (version) values (%s)

-- name: has_tables
select to_regclass('schema_version') is not null, to_regclass('entry') is not null

-- name: version
select version from schema_version

-- name: try_lock
select pg_try_advisory_lock(hashtextextended('keyturn ledger ' || current_schema(), 0))

-- name: lock_holder
select lock.pid from pg_locks as lock
where lock.locktype = 'advisory' and lock.granted and lock.objsubid = 1
  and lock.database = (select oid from pg_database where datname = current_database())
  and (lock.classid::bigint << 32 | lock.objid::bigint) = hashtextextended('keyturn ledger ' || current_schema(), 0)

-- name: add_entries
insert into entry (idx, time, type, session, n, once, leaf, disclosures)
select * from unnest(%b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bytea[])

-- name: put_tiles
insert into tile (level, idx, hashes)
select * from unnest(%b::integer[], %b::bigint[], %b::bytea[])
on conflict (level, idx) do update set hashes = excluded.hashes

-- name: put_checkpoint
insert into checkpoint (one, note) values (1, %s)
on conflict (one) do update set note = excluded.note

-- name: add_blobs
insert into blob (digest, data)
select * from unnest(%b::text[], %b::bytea[])
on conflict (digest) do nothing

-- name: put_disclosures
update entry set disclosures = new.disclosures
from unnest(%b::bigint[], %b::bytea[]) as new (idx, disclosures)
where entry.idx = new.idx

-- name: delete_blobs
delete from blob where digest = any(%s::text[])

-- name: scrub_entry
vacuum full entry

-- name: scrub_blob
vacuum full blob

-- name: scrub_row
vacuum full "row"

-- name: put_rows
insert into "row" (kind, key, state, at, body)
select * from unnest(%b::text[], %b::text[], %b::text[], %b::bigint[], %b::bytea[])
on conflict (kind, key) do update set state = excluded.state, at = excluded.at, body = excluded.body

-- name: remove_rows
delete from "row" using unnest(%b::text[], %b::text[]) as gone (kind, key)
where "row".kind = gone.kind and "row".key = gone.key

-- name: delete_rows
delete from "row"

-- name: head
select note from checkpoint

-- name: entry
select idx, time, type, leaf, disclosures, session, n, once from entry where idx = %s

-- name: entries
select idx, time, type, leaf, disclosures, session, n, once from entry
where idx >= %s and idx < %s order by idx limit %s

-- name: leaves
select idx, leaf from entry where idx >= %s and idx < %s order by idx limit %s

-- name: once
select once, idx from entry where once = any(%s)

-- name: tile
select hashes from tile where level = %s and idx = %s

-- name: blob
select data from blob where digest = %s

-- name: blobs
select digest, data from blob where digest > %s order by digest limit %s

-- name: row
select body from "row" where kind = %s and key = %s

-- name: rows_newest
select body from "row" where kind = %s and (at, key) < (%s, %s) order by at desc, key desc limit %s

-- name: rows_newest_state
select body from "row" where kind = %s and state = %s and (at, key) < (%s, %s) order by at desc, key desc limit %s

-- name: rows_oldest
select body from "row" where kind = %s and (at, key) > (%s, %s) order by at, key limit %s

-- name: rows_oldest_state
select body from "row" where kind = %s and state = %s and (at, key) > (%s, %s) order by at, key limit %s

-- name: count
select count(*) from "row" where kind = %s

-- name: count_state
select count(*) from "row" where kind = %s and state = %s

-- name: dump_rows
select kind, key, state, at, body from "row" where (kind, key) > (%s, %s) order by kind, key limit %s

-- name: session_counts
select session, max(n) from entry
where session is not null
  and session not in (select session from entry where type = 'session.closed' and session is not null)
group by session

-- name: session_last
select max(n) from entry where session = %s
