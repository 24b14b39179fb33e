-- Up Migration

-- The rooms in which something has been posted.
CREATE TABLE chat_rooms (
  name          text COLLATE "C" PRIMARY KEY,
  last_sequence bigint NOT NULL,
  kept_from     bigint NOT NULL DEFAULT 1
);

-- Where there are more texts than are kept.
CREATE INDEX chat_rooms_kept_idx ON chat_rooms ((last_sequence - kept_from));

COMMENT ON COLUMN chat_rooms.last_sequence IS
  'The sequence of the last text. Who posts locks the row, so that sequences are in the order of the commits.';
COMMENT ON COLUMN chat_rooms.kept_from IS 'The sequence of the first text that is kept.';

CREATE TABLE chat_texts (
  room              text COLLATE "C" NOT NULL,
  sequence          bigint           NOT NULL,
  user_id           text COLLATE "C" NOT NULL,
  text              text             NOT NULL,
  client_message_id text COLLATE "C",
  posted_at         timestamptz(3)   NOT NULL,
  PRIMARY KEY (room, sequence)
);

CREATE UNIQUE INDEX chat_texts_client_message_id_key ON chat_texts (room, user_id, client_message_id)
  WHERE client_message_id IS NOT NULL;
CREATE INDEX chat_texts_user_id_idx ON chat_texts (user_id) WHERE text <> '';
CREATE INDEX chat_texts_posted_at_idx ON chat_texts (posted_at);

COMMENT ON TABLE chat_texts IS 'What has been posted in rooms.';

-- Whose words nobody reads any more, whenever they were or will be posted.
CREATE TABLE chat_erased_authors (
  user_id text COLLATE "C" PRIMARY KEY
);

COMMENT ON TABLE chat_erased_authors IS 'The users who have been deleted.';

-- The words of a user are personal. From the instant of the deletion on nobody reads them; many of them go at once, and those that are
-- left, or posted by a call that is still open, when the tables are next put in order.
CREATE FUNCTION erase_chat_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO chat_erased_authors (user_id) VALUES (OLD.id) ON CONFLICT DO NOTHING;
  UPDATE chat_texts SET text = '' WHERE (room, sequence) IN (
    SELECT room, sequence FROM chat_texts WHERE user_id = OLD.id AND text <> '' LIMIT 5000 FOR UPDATE SKIP LOCKED
  );
  RETURN NULL;
END
$$;

CREATE TRIGGER erase_chat_texts AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION erase_chat_texts();

-- Who is where now: in a room, or at a document. Of no worth after a crash, so that it is not logged.
CREATE UNLOGGED TABLE presences (
  session    text COLLATE "C" PRIMARY KEY,
  topic      text COLLATE "C" NOT NULL,
  user_id    text             NOT NULL,
  detail     text             NOT NULL,
  expires_at timestamptz      NOT NULL
);

CREATE INDEX presences_topic_idx ON presences (topic);
CREATE INDEX presences_expires_at_idx ON presences (expires_at);
