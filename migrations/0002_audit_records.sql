-- Up Migration

-- Who set a role or a status, or deleted a user, and when. Kept until those who operate the service delete it: nothing of a
-- user is in it but the id.
CREATE TABLE audit_records (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  recorded_at timestamptz(3)   NOT NULL DEFAULT clock_timestamp(),
  author_id   text             NOT NULL,
  author_role text             NOT NULL,
  action      text             NOT NULL CHECK (action IN ('set_role', 'set_status', 'delete_user')),
  user_id     text COLLATE "C" NOT NULL,
  old_value   text,
  new_value   text
);

CREATE INDEX audit_records_user_id_idx ON audit_records (user_id);

COMMENT ON TABLE audit_records IS 'Who set a role or a status, or deleted a user, and when.';
COMMENT ON COLUMN audit_records.author_id IS 'The subject of the token, or the name of a service.';
COMMENT ON COLUMN audit_records.old_value IS 'Role or status before; null for a new user.';
COMMENT ON COLUMN audit_records.new_value IS 'Role or status afterwards; null for a deletion.';
