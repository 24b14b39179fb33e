-- Up Migration

-- The bios that are edited in operations, as of the last of these. All of it goes with the user, in the same transaction.
CREATE TABLE documents (
  user_id         text COLLATE "C" PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  revision        bigint NOT NULL,
  text            text   NOT NULL,
  expired_through bigint NOT NULL DEFAULT 0
);

-- Where there are more operations than are kept.
CREATE INDEX documents_kept_idx ON documents ((revision - expired_through));

COMMENT ON TABLE documents IS 'The bios that are edited together.';
COMMENT ON COLUMN documents.revision IS 'How many operations have been applied.';
COMMENT ON COLUMN documents.text IS 'Other than the bio if that has been changed by other means since.';
COMMENT ON COLUMN documents.expired_through IS 'The revision up to which operations are no longer kept.';

CREATE TABLE document_operations (
  user_id      text COLLATE "C" NOT NULL REFERENCES documents ON DELETE CASCADE,
  revision     bigint           NOT NULL,
  operation    jsonb            NOT NULL,
  author_id    text             NOT NULL,
  operation_id text COLLATE "C",
  applied_at   timestamptz(3)   NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (user_id, revision)
);

CREATE UNIQUE INDEX document_operations_operation_id_key ON document_operations (user_id, operation_id)
  WHERE operation_id IS NOT NULL;
CREATE INDEX document_operations_applied_at_idx ON document_operations (applied_at);

COMMENT ON TABLE document_operations IS 'What has been done to the texts of documents, step by step.';
COMMENT ON COLUMN document_operations.operation IS 'A number leaves so many code points, a text is inserted, {"d": n} deletes.';
COMMENT ON COLUMN document_operations.operation_id IS 'What the author knows it by; null for a change of the bio by other means.';
