-- table core.a: id integer not null, at timestamptz; key id
-- api in_function
-- api in_set
CREATE VIEW in_function AS SELECT g FROM generate_series(TIMESTAMPTZ '2024-01-01', now(), '1 day') g;
CREATE VIEW in_set AS SELECT unnest(ARRAY[now()]) AS t FROM core.a;
