-- table core.docs: id integer not null, big bigint, d date, body jsonb, raw json; key id
CREATE VIEW v1 AS SELECT body[1:2] FROM core.docs;
CREATE VIEW v2 AS SELECT body[d] FROM core.docs;
CREATE VIEW v3 AS SELECT body[big] FROM core.docs;
CREATE VIEW v4 AS SELECT raw['a'] FROM core.docs;
CREATE VIEW v5 AS SELECT jsonb_set(raw, '{a}', '1') FROM core.docs;
CREATE VIEW v6 AS SELECT body['a'][1.5] FROM core.docs;
