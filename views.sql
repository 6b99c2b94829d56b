CREATE VIEW sums AS SELECT account_id, count(*) AS n, sum(amount) AS total FROM demo.entries GROUP BY account_id;
CREATE VIEW side AS SELECT amount, count(*) AS n FROM demo.entries GROUP BY amount;
