-- Up Migration

-- The users. Texts that are compared are compared byte by byte ("C"), as the service does it.
CREATE TABLE users (
  id            text COLLATE "C" PRIMARY KEY,
  version       integer        NOT NULL,
  email         text           NOT NULL,
  email_key     text COLLATE "C" NOT NULL CONSTRAINT users_email_key_key UNIQUE,
  name          text           NOT NULL,
  role          text           NOT NULL CHECK (role IN ('user', 'admin')),
  status        text           NOT NULL CHECK (status IN ('active', 'suspended')),
  username      text,
  username_key  text COLLATE "C" CONSTRAINT users_username_key_key UNIQUE,
  age           smallint,
  tags          text[]         NOT NULL,
  metadata      jsonb          NOT NULL,
  contact_kind  text           CHECK (contact_kind IN ('phone', 'slackId')),
  contact_value text           CHECK ((contact_kind IS NULL) = (contact_value IS NULL)),
  bio           text,
  avatar_url    text           CHECK ((bio IS NULL) = (avatar_url IS NULL)),
  created_at    timestamptz(3) NOT NULL,
  updated_at    timestamptz(3) NOT NULL,
  CHECK ((username IS NULL) = (username_key IS NULL))
);

-- Every call of every caller asks for these.
CREATE INDEX users_suspended_idx ON users (id) WHERE status = 'suspended';

COMMENT ON TABLE users IS 'The users of user.v1.UserService.';
COMMENT ON COLUMN users.version IS 'Greater with each change of the user; the etag is made of it.';
COMMENT ON COLUMN users.email_key IS 'What makes two e-mail addresses the same.';
COMMENT ON COLUMN users.username_key IS 'What makes two usernames the same.';

-- What has happened to users, in the order in which it took effect. Nothing personal.
CREATE TABLE changes (
  revision   bigint PRIMARY KEY,
  user_id    text COLLATE "C" NOT NULL,
  kind       text             NOT NULL CHECK (kind IN ('created', 'updated', 'deleted')),
  changed_at timestamptz(3)   NOT NULL
);

COMMENT ON TABLE changes IS 'Every creation, update and deletion of a user, in the order of the commits.';

CREATE SEQUENCE changes_revision_seq OWNED BY changes.revision;

-- One row: the revision up to which changes are no longer kept.
CREATE TABLE change_log (
  expired_through bigint  NOT NULL,
  only_row        boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
INSERT INTO change_log (expired_through) VALUES (0);

-- Numbers from a sequence are not in the order of the commits, and a reader who goes on after the greatest one that it has
-- seen would miss those that are committed later. So the number is taken as the last thing of a transaction, under a lock
-- that is held until it has committed: not while the transaction waits for its client, which sends nothing between this and
-- COMMIT.
CREATE FUNCTION append_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('changes', 0));
  INSERT INTO changes (revision, user_id, kind, changed_at)
  VALUES (nextval('changes_revision_seq'), coalesce(NEW.id, OLD.id), TG_ARGV[0], clock_timestamp());
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER append_created AFTER INSERT ON users
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION append_change('created');
CREATE CONSTRAINT TRIGGER append_updated AFTER UPDATE ON users
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION append_change('updated');
CREATE CONSTRAINT TRIGGER append_deleted AFTER DELETE ON users
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION append_change('deleted');

-- Requests that have created users, so that each does it once.
CREATE TABLE creation_requests (
  key         bytea PRIMARY KEY,
  fingerprint text             NOT NULL,
  user_id     text COLLATE "C" NOT NULL,
  expires_at  timestamptz(3)   NOT NULL
);

CREATE INDEX creation_requests_expires_at_idx ON creation_requests (expires_at);

COMMENT ON COLUMN creation_requests.key IS 'SHA-256 of who asked and of the request id.';
COMMENT ON COLUMN creation_requests.fingerprint IS 'An HMAC that stands for the content.';

-- What the replicas agree on, and nobody else may know.
CREATE TABLE secrets (
  name  text  PRIMARY KEY,
  value bytea NOT NULL
);
