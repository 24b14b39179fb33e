-- Up Migration

-- Files of users that are imported some rows at a time: how far each one is, and what became of the rows up to there. Nothing of
-- the rows themselves.
CREATE TABLE uploads (
  key           bytea PRIMARY KEY,
  fingerprint   text           NOT NULL,
  created_count bigint         NOT NULL DEFAULT 0,
  updated_count bigint         NOT NULL DEFAULT 0,
  skipped_count bigint         NOT NULL DEFAULT 0,
  failed_count  bigint         NOT NULL DEFAULT 0,
  failures      jsonb          NOT NULL DEFAULT '[]',
  expires_at    timestamptz(3) NOT NULL
);

CREATE INDEX uploads_expires_at_idx ON uploads (expires_at);

COMMENT ON TABLE uploads IS 'Files of users that are imported: as many rows as the counts add up to have been applied.';
COMMENT ON COLUMN uploads.key IS 'SHA-256 of who uploads and of the upload id.';
COMMENT ON COLUMN uploads.fingerprint IS 'An HMAC that stands for the file.';
COMMENT ON COLUMN uploads.failures IS 'The first rows that could not be imported: line, field, and what is wrong, but no values.';
