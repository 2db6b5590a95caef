CREATE TABLE users (
    id serial PRIMARY KEY,
    name text NOT NULL UNIQUE,
    password text NOT NULL
);
CREATE TABLE topics (
    id serial PRIMARY KEY,
    slug text NOT NULL UNIQUE,
    title text NOT NULL
);
CREATE TABLE posts (
    id serial PRIMARY KEY,
    topic_id integer NOT NULL REFERENCES topics ON DELETE CASCADE,
    author text NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    body text NOT NULL,
    written timestamptz NOT NULL DEFAULT now()
);
-- What the pages read and the app writes to; the tables below may change.
CREATE VIEW post_list AS
    SELECT id, topic_id, author, body, written FROM posts;
CREATE VIEW topic_list AS
    SELECT t.id, t.slug, t.title, max(p.written) AS last_written
    FROM topics t JOIN posts p ON p.topic_id = t.id GROUP BY t.id;
CREATE FUNCTION add_post(topic integer, by_name text, text_of text) RETURNS void LANGUAGE sql AS
    'INSERT INTO posts (topic_id, author, body) VALUES (topic, by_name, text_of)';
