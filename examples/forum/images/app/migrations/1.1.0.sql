-- Posts point to their author's row, so that people can be renamed, and topics
-- remember their last post, so that the front page reads one table.
ALTER TABLE posts ADD COLUMN author_id integer REFERENCES users ON DELETE CASCADE;
UPDATE posts SET author_id = users.id FROM users WHERE users.name = posts.author;
ALTER TABLE posts ALTER COLUMN author_id SET NOT NULL;
ALTER TABLE topics ADD COLUMN last_written timestamptz NOT NULL DEFAULT now();
UPDATE topics SET last_written = p.last
    FROM (SELECT topic_id, max(written) AS last FROM posts GROUP BY topic_id) p WHERE p.topic_id = topics.id;
CREATE OR REPLACE VIEW post_list AS
    SELECT p.id, p.topic_id, u.name AS author, p.body, p.written FROM posts p JOIN users u ON u.id = p.author_id;
ALTER TABLE posts DROP COLUMN author;
CREATE OR REPLACE VIEW topic_list AS SELECT id, slug, title, last_written FROM topics;
CREATE OR REPLACE FUNCTION add_post(topic integer, by_name text, text_of text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO posts (topic_id, author_id, body) SELECT topic, id, text_of FROM users WHERE name = by_name;
    UPDATE topics SET last_written = now() WHERE id = topic;
$$;
