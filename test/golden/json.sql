-- table core.docs: id integer not null, n integer, s smallint, k text, vc varchar(5), body jsonb; key id
-- api taken
-- api edited
CREATE VIEW taken AS SELECT id, body['a'] AS a, body['a'][0]['b'] AS b, body[n] AS c, body[k][s] AS d, body[vc][1 + n] AS e, (body -> 'x')['y'] AS f, body['a'][0] = '1' AS g FROM core.docs;
CREATE VIEW edited AS SELECT id, jsonb_set(body, '{a,0}', '1') AS a, jsonb_set(body, ARRAY['a', k], to_jsonb(n), false) AS b, body - '{a,b}'::text[] AS c, body #- '{a,0}' AS d, jsonb_insert(body, '{a,-1}', '{}', true) AS e, jsonb_set_lax(body, '{a}', to_jsonb(n), true, 'delete_key') AS f, jsonb_object('{a,1}') AS g FROM core.docs;
