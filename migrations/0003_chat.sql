-- Up Migration

-- The rooms in which something has been posted.
CREATE TABLE chat_rooms (
  name          text COLLATE "C" PRIMARY KEY,
  last_sequence bigint NOT NULL
);

COMMENT ON COLUMN chat_rooms.last_sequence IS
  'The sequence of the last text. Who posts locks the row, so that sequences are in the order of the commits.';

CREATE TABLE chat_texts (
  room              text COLLATE "C" NOT NULL REFERENCES chat_rooms,
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
COMMENT ON COLUMN chat_texts.text IS 'Empty once its author has been deleted.';

-- The words of a user are personal: they go with the user, in the same transaction.
CREATE FUNCTION erase_chat_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE chat_texts SET text = '' WHERE user_id = OLD.id AND text <> '';
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
