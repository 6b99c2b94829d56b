-- table core.t: id bigint not null, n integer, at timestamp not null, tz timestamptz, d date, j json; key id
CREATE VIEW v1 AS SELECT * FROM session(core.t, at);
CREATE VIEW v2 AS SELECT * FROM session(core.t, n, '1 day');
CREATE VIEW v3 AS SELECT * FROM session(core.t, at, '1 month');
CREATE VIEW v4 AS SELECT * FROM session(core.t, at, '-1 hour');
CREATE VIEW v5 AS SELECT * FROM session(core.t, at, NULL);
CREATE VIEW v6 AS SELECT * FROM core.t x, session(core.t, at, x.n * interval '1 hour');
CREATE VIEW v7 AS SELECT * FROM session(core.t, d, '36 hours');
CREATE VIEW v8 AS SELECT * FROM session(core.t, at, '1 hour', n + 1);
CREATE VIEW v9 AS SELECT * FROM session(core.t, at, '1 hour', what);
CREATE VIEW v10 AS SELECT * FROM session(core.t, at, '1 hour', j);
CREATE VIEW v11 AS SELECT * FROM session(core.what, at, '1 hour');
CREATE VIEW v12 AS SELECT session(core.t, at, '1 hour') FROM core.t;
CREATE VIEW v13 AS SELECT * FROM session(core.t, what, '1 hour') WITH ORDINALITY;
