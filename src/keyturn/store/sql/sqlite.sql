-- SQLite. One log and its projections in one file; see docs/explanation for what each table is for.
-- entry and tile are the log; checkpoint is the newest signed tree head; blob holds content by its digest;
-- row holds projections, which can be dropped and rebuilt from entry.

-- name: schema
create table entry (
  idx integer primary key,
  time integer not null,
  type text not null,
  session text,
  n integer,
  once text,
  leaf blob not null,
  disclosures blob not null
) strict;
create unique index entry_once on entry (once) where once is not null;
create unique index entry_session on entry (session, n) where session is not null;
create index entry_closed on entry (session) where type = 'session.closed';
create table tile (
  level integer not null,
  idx integer not null,
  hashes blob not null,
  unique (level, idx)
) strict;
create table checkpoint (
  one integer primary key check (one = 1),
  note text not null
) strict;
create table blob (
  digest text not null unique,
  data blob not null
) strict;
create table row (
  kind text not null,
  key text not null,
  state text not null,
  at integer not null,
  body blob not null,
  unique (kind, key)
) strict;
create index row_state on row (kind, state, at, key);
create index row_at on row (kind, at, key);

-- name: add_entry
insert into entry (idx, time, type, session, n, once, leaf, disclosures) values (?, ?, ?, ?, ?, ?, ?, ?)

-- name: put_tile
insert into tile (level, idx, hashes) values (?, ?, ?)
on conflict (level, idx) do update set hashes = excluded.hashes

-- name: put_checkpoint
insert into checkpoint (one, note) values (1, ?)
on conflict (one) do update set note = excluded.note

-- name: add_blob
insert into blob (digest, data) values (?, ?)
on conflict (digest) do nothing

-- name: put_disclosures
update entry set disclosures = ? where idx = ?

-- name: delete_blob
delete from blob where digest = ?

-- name: put_row
insert into row (kind, key, state, at, body) values (?, ?, ?, ?, ?)
on conflict (kind, key) do update set state = excluded.state, at = excluded.at, body = excluded.body

-- name: delete_row
delete from row where kind = ? and key = ?

-- name: delete_rows
delete from row

-- name: head
select note from checkpoint

-- name: entry
select idx, time, type, leaf, disclosures, session, n, once from entry where idx = ?

-- name: entries
select idx, time, type, leaf, disclosures, session, n, once from entry
where idx >= ? and idx < ? order by idx limit ?

-- name: leaves
select idx, leaf from entry where idx >= ? and idx < ? order by idx limit ?

-- name: once
select once, idx from entry where once in (select value from json_each(?))

-- name: tile
select hashes from tile where level = ? and idx = ?

-- name: blob
select data from blob where digest = ?

-- name: blobs
select digest, data from blob where digest > ? order by digest limit ?

-- name: row
select body from row where kind = ? and key = ?

-- name: rows_newest
select body from row where kind = ? and (at, key) < (?, ?) order by at desc, key desc limit ?

-- name: rows_newest_state
select body from row where kind = ? and state = ? and (at, key) < (?, ?) order by at desc, key desc limit ?

-- name: rows_oldest
select body from row where kind = ? and (at, key) > (?, ?) order by at, key limit ?

-- name: rows_oldest_state
select body from row where kind = ? and state = ? and (at, key) > (?, ?) order by at, key limit ?

-- name: count
select count(*) from row where kind = ?

-- name: count_state
select count(*) from row where kind = ? and state = ?

-- name: dump_rows
select kind, key, state, at, body from row where (kind, key) > (?, ?) order by kind, key limit ?

-- name: session_counts
select session, max(n) from entry
where session is not null
  and session not in (select session from entry where type = 'session.closed' and session is not null)
group by session

-- name: session_last
select max(n) from entry where session = ?
